/** What is compared: types, and who makes their files how. */

/** Our name of a type, and llama.h's number of its file type. Pure: that type for every layer, the head in Q6_K as ours. Slow: libllama has no fast product. */
export const fileTypes: Readonly<Record<string, { ftype: number; pure: boolean; slow?: true }>> = {
  Q4_K_M: { ftype: 15, pure: false },
  Q3_K_M: { ftype: 12, pure: false },
  Q2_K_M: { ftype: 10, pure: false },
  Q2_K: { ftype: 10, pure: true },
  Q4_0: { ftype: 2, pure: false },
  Q2_0: { ftype: 41, pure: false, slow: true },
};

/** Whether a file is scored from the f16 copy that libllama makes of it: SmolLM2-135M as Q2_0 takes it half an hour itself. */
export const isUnpacked = (type: string, bytes: number): boolean => fileTypes[type]?.slow === true && bytes > 2 ** 25;

export interface Way {
  /** Whether its file depends on the draw of calibration windows. */
  drawn: boolean;
  /** Options of `quantize`; null: llama_model_quantize makes the file. */
  flags: readonly string[] | null;
}

const plain = ["--preset", "paper"];
const good = ["--preset", "good"];

export const ways: Readonly<Record<string, Way>> = {
  "llama.cpp": { drawn: false, flags: null },
  "llama.cpp, imatrix": { drawn: true, flags: null },
  RTN: { drawn: false, flags: [...plain, "--method", "rtn", "--alpha", "0"] },
  GPTQ: { drawn: true, flags: [...plain, "--alpha", "0"] },
  "GPTQ + QEP": { drawn: true, flags: plain },
  "the preset Good": { drawn: true, flags: good },
};

export const seeds = [1, 2, 3];
/** Of 128 tokens: short ones, as the models here are small. */
export const windowLength = 128;
export const calibrationWindows = 64;
export const evaluationWindows = 32;

/** The files to make, as [type, way, seed]; those that depend on no draw once. */
export const filesOf = (types: readonly string[]): [type: string, way: string, seed: number][] =>
  types.flatMap((type) =>
    Object.entries(ways).flatMap(([way, { drawn }]) =>
      (drawn ? seeds : seeds.slice(0, 1)).map((seed): [string, string, number] => [type, way, seed]),
    ),
  );
