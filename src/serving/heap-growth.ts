/** @file How far the heap of a process that serves may grow between two full collections. */
import { setFlagsFromString } from "node:v8";

/** In percent of what a full collection leaves: to four times as much, which is the most that V8 itself ever allows. */
const GROWTH_PERCENT = 300;

/**
 * V8 makes the next full collection due by what is alive, some thirty megabytes here, and counts the buffers of requests
 * towards it, which are freed long before with all that is young. Left to itself it goes through the whole heap for
 * every dozen of requests with images, and the longer the process runs, the more so.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
