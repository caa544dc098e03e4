// Sends two photographs to a server, over REST and over gRPC; it may be faceid's or TensorFlow Serving.
//
//   node examples/request.js photos/ada/1.jpg photos/bo/1.jpg http://localhost:8501 localhost:8500
import { FaceError, request } from "faceid";

const [left = "a.jpg", right = "b.jpg", url = "http://localhost:8501", address = "localhost:8500"] =
  process.argv.slice(2);

try {
  const overRest = await request({ url, model: "example" }, [left, right]);
  console.log(`REST ${overRest.probability?.toFixed(4) ?? overRest.text}`);
  const overGrpc = await request({ address, model: "example" }, [left, right]);
  console.log(`gRPC ${overGrpc.probability?.toFixed(4) ?? overGrpc.text}`);
} catch (error) {
  if (!(error instanceof FaceError)) throw error;
  console.error(`${error.code}: ${error.message}\n${error.hint ?? ""}`);
  process.exitCode = error.exitCode;
}
