/** Ours and the peers behind one interface. Each computes on a device of its own; operands are on it before anything is timed, and results stay there. */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import * as ort from "onnxruntime-web/webgpu";
import { createGpuOps, type GpuOps } from "../../src/ops/gpu";
import { browserGpu } from "../../src/ops/gpu/browser";
import { matmulModel } from "./onnx";

export interface Shape {
  m: number;
  k: number;
  n: number;
}

/** A product that is not read yet. */
export interface Outcome {
  read(): Promise<Float32Array>;
  free(): void;
}

/** Computes the product once more, and ends when the device has done it. */
export type Multiply = () => Promise<Outcome>;

export interface Library {
  name: string;
  /** Uploads a [m, k] and b [k, n]. */
  prepare(shape: Shape, a: Float32Array, b: Float32Array): Promise<Multiply>;
}

async function ours(): Promise<Library & { ops: GpuOps }> {
  const ops = await createGpuOps(browserGpu());
  return {
    name: "QEP Studio",
    ops,
    async prepare({ m, k, n }, a, b) {
      const [A, B] = [ops.fromFloats(a, [m, k]), ops.fromFloats(b, [k, n])];
      return async () => {
        const y = ops.matmul(A, B);
        await ops.flush();
        return { read: async () => Float32Array.from((await ops.read([y]))[0]), free: () => ops.free(y) };
      };
    },
  };
}

async function jaxJs(): Promise<Library> {
  await jax.init("webgpu");
  jax.defaultDevice("webgpu");
  return {
    name: "jax-js",
    async prepare({ m, k, n }, a, b) {
      const A = jax.numpy.array(a, { shape: [m, k] });
      const B = jax.numpy.array(b, { shape: [k, n] });
      return async () => {
        // An operation consumes its operands, unless it is given references of its own.
        const y = jax.numpy.matmul(A.ref, B.ref);
        await y.blockUntilReady();
        await jax.getWebGPUDevice().queue.onSubmittedWorkDone();
        // Reading consumes it too.
        return { read: () => y.data(), free: () => {} };
      };
    },
  };
}

async function tfjs(): Promise<Library> {
  await tf.setBackend("webgpu");
  // By default it gathers fifteen dispatches before it submits any.
  tf.env().set("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE", 1);
  const { device } = tf.backend() as { device: GPUDevice };
  return {
    name: "tfjs-backend-webgpu",
    async prepare({ m, k, n }, a, b) {
      const [A, B] = [tf.tensor2d(a, [m, k]), tf.tensor2d(b, [k, n])];
      return async () => {
        const y = tf.matMul(A, B);
        await device.queue.onSubmittedWorkDone();
        return { read: () => y.data(), free: () => y.dispose() };
      };
    },
  };
}

async function onnxRuntime(): Promise<Library> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", document.baseURI).href;
  return {
    name: "onnxruntime-web",
    async prepare({ m, k, n }, a, b) {
      const options = { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" } as const;
      const session = await ort.InferenceSession.create(matmulModel(m, k, n), { ...options, executionProviders: ["webgpu"] });
      const device = await ort.env.webgpu.device;
      const upload = (data: Float32Array, dims: number[]) => {
        const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
        const buffer = device.createBuffer({ size: data.byteLength, usage });
        device.queue.writeBuffer(buffer, 0, data as BufferSource);
        return ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims });
      };
      const feeds = { a: upload(a, [m, k]), b: upload(b, [k, n]) };
      return async () => {
        const { y } = await session.run(feeds);
        await device.queue.onSubmittedWorkDone();
        return { read: () => y.getData(), free: () => y.dispose() };
      };
    },
  };
}

/** Ours comes first. */
export const open = async () => {
  const own = await ours();
  return { ops: own.ops, libraries: [own, await jaxJs(), await tfjs(), await onnxRuntime()] satisfies Library[] as Library[] };
};
