// Serves a model from a program, over REST and gRPC, until Ctrl-C.
//
//   node examples/serve.js models/example 8501 8500
import { serve } from "faceid";

const [modelPath = "models/example", rest = "8501", grpc = "8500"] = process.argv.slice(2);

const server = await serve({
  modelPath,
  modelName: "example",
  restPort: Number(rest),
  grpcPort: Number(grpc),
});
console.log(`REST on port ${server.restPort}, gRPC on port ${server.grpcPort}`);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close().then(() => console.log("closed"), console.error);
  });
}
