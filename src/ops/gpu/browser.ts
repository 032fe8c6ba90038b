import { QuantError } from "../../errors";

/** The page's or worker's WebGPU. @throws QuantError `no-webgpu` where the browser has none. */
export function browserGpu(): GPU {
  // The types say that it is always there, but older browsers, insecure contexts and browsers with it switched off have none.
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu)
    throw new QuantError(
      "no-webgpu",
      "this browser does not offer WebGPU",
      "Use a current Chrome, Edge, Safari or Firefox, over https or localhost.",
    );
  return gpu;
}
