import { QuantError } from "../../errors";
import type { Faults } from "./faults";
import { bindingsOf, type KernelName, kernels } from "./kernels";

export type Constants = Readonly<Record<string, number>>;

export interface Pipeline {
  gpu: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  bindings: number;
}

/** Bytes bound for a kernel's parameters; every Params struct fits in them. */
export const paramBytes = 128;

/** Compiled kernels, one for each kernel and set of constants. Compilation runs in the background; what it reports, warnings too, becomes a fault. */
export class Pipelines {
  private readonly modules = new Map<KernelName, GPUShaderModule>();
  private readonly cache = new Map<string, Pipeline>();
  /** All kernels take their parameters from one uniform buffer, each at its dynamic offset. */
  readonly paramLayout: GPUBindGroupLayout;

  constructor(
    private readonly device: GPUDevice,
    private readonly faults: Faults,
  ) {
    const buffer: GPUBufferBindingLayout = { type: "uniform", hasDynamicOffset: true, minBindingSize: paramBytes };
    this.paramLayout = device.createBindGroupLayout({ entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer }] });
  }

  get(name: KernelName, constants: Constants = {}): Pipeline {
    const key = `${name} ${JSON.stringify(constants)}`;
    const known = this.cache.get(key);
    if (known) return known;
    const types = bindingsOf(kernels[name]);
    if (types.length === 0 || types.length > 8) throw new QuantError("internal", `kernel ${name} has ${types.length} storage buffers`);
    const entries = types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
    const layout = this.device.createBindGroupLayout({ entries });
    const gpu = this.device.createComputePipeline({
      label: key,
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout, this.paramLayout] }),
      compute: { module: this.module(name), entryPoint: "main", constants: { ...constants } },
    });
    const made = { gpu, layout, bindings: types.length };
    this.cache.set(key, made);
    return made;
  }

  private module(name: KernelName): GPUShaderModule {
    const known = this.modules.get(name);
    if (known) return known;
    const made = this.device.createShaderModule({ label: name, code: kernels[name] });
    this.modules.set(name, made);
    this.faults.watch(made.getCompilationInfo().then((info) => this.report(name, info)));
    return made;
  }

  private report(name: KernelName, { messages }: GPUCompilationInfo): void {
    const bad = messages.filter((m) => m.type !== "info");
    if (bad.length)
      this.faults.recordMessage(`kernel ${name}: ${bad.map((m) => `${m.type} in line ${m.lineNum}, ${m.message}`).join("; ")}`);
  }
}
