/** GGUF's types of tensors, and llama.cpp's mixes of them, by the names that people know. quant/types.ts says what they are. */
export const tensorTypes = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q2_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] as const;
export type TensorType = (typeof tensorTypes)[number];

export const typeMixes = ["Q2_K_M", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M"] as const;
export type TypeMix = (typeof typeMixes)[number];
