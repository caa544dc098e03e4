/** @file `npm run bench`: every bench that takes a few minutes at most, one after the other. */
await import("./training.ts");
await import("./savedmodel.ts");
await import("./loading.ts");
