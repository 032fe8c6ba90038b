/** What is used of the peers, so that types can be checked where they are not installed. */

declare module "@jax-js/jax" {
  interface JaxArray {
    readonly ref: JaxArray;
    blockUntilReady(): Promise<JaxArray>;
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export function init(device: "webgpu"): Promise<string[]>;
  export function defaultDevice(device: "webgpu"): string;
  export function getWebGPUDevice(): GPUDevice;
  export const numpy: {
    array(values: Float32Array, options: { shape: number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
}

declare module "@tensorflow/tfjs-core" {
  export interface Tensor {
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export function setBackend(name: "webgpu"): Promise<boolean>;
  export function backend(): unknown;
  export function env(): { set(flag: string, value: number): void };
  export function tensor2d(values: Float32Array, shape: [number, number]): Tensor;
  export function matMul(a: Tensor, b: Tensor): Tensor;
}

declare module "@tensorflow/tfjs-backend-webgpu";

declare module "onnxruntime-web/webgpu" {
  export class Tensor {
    static fromGpuBuffer(buffer: GPUBuffer, options: { dataType: "float32"; dims: number[] }): Tensor;
    getData(): Promise<Float32Array>;
    dispose(): void;
  }
  export const InferenceSession: {
    create(
      model: Uint8Array,
      options: { executionProviders: ["webgpu"]; preferredOutputLocation: "gpu-buffer" },
    ): Promise<{ run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> }>;
  };
  export const env: { wasm: { wasmPaths: string; numThreads: number }; webgpu: { device: Promise<GPUDevice> } };
}
