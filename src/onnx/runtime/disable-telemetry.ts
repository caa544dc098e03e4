/** @file Imported for its effect: tells ONNX Runtime not to report to its maker. */

// From 1.29 on it does so by default, over the network and under a number that it gives the machine. The variable must be
// there before the runtime starts, and native code reads the main thread's environment alone: whoever starts a thread in
// which the runtime may run imports this too.
process.env.ORT_DISABLE_TELEMETRY = "1";
