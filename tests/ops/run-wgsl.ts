/** Runs a kernel made for a test: inputs at bindings 0 …, its output, `words` 32-bit words, at the binding after them. */
export async function runWgsl(
  device: GPUDevice,
  code: string,
  inputs: readonly (Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>)[],
  words: number,
  groups: number,
  constants: Record<string, number> = {},
): Promise<ArrayBuffer> {
  const buffer = (size: number, usage: number) => device.createBuffer({ size, usage: usage | GPUBufferUsage.COPY_DST });
  const given = inputs.map((data) => {
    const made = buffer(data.byteLength, GPUBufferUsage.STORAGE);
    device.queue.writeBuffer(made, 0, data);
    return made;
  });
  const output = buffer(4 * words, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const back = buffer(4 * words, GPUBufferUsage.MAP_READ);
  const compute = { module: device.createShaderModule({ code }), entryPoint: "main", constants };
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
  const entries = [...given, output].map((b, binding) => ({ binding, resource: { buffer: b } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(groups);
  pass.end();
  encoder.copyBufferToBuffer(output, 0, back, 0, 4 * words);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  const result = back.getMappedRange().slice(0);
  for (const b of [...given, output, back]) b.destroy();
  return result;
}
