import { expect, test } from "vitest";
import { evaluateOptions, memoryOf, parseCommandLine, quantizeOptions } from "../../src/cli/args";

test.each([
  ["2GiB", 2 ** 31],
  ["2", 2 ** 31],
  ["1.5 GB", 1.5 * 2 ** 30],
  ["1500MiB", 1500 * 2 ** 20],
  ["1500m", 1500 * 2 ** 20],
  ["131072k", 2 ** 27],
])("--gpu-memory %s", (text, bytes) => {
  expect(memoryOf(text)).toBe(bytes);
});

test("--gpu-memory is optional, and what is no size, or too small a one, is refused with words", () => {
  expect(memoryOf(undefined)).toBe(null);
  for (const text of ["", "much", "2TB", "-1", "1.2.3G", "NaN", "2 3"])
    expect(() => memoryOf(text)).toThrow(/not a size\. Write it as 2GiB/);
  for (const text of ["1MB", "63MiB", "0"]) expect(() => memoryOf(text)).toThrow(/Allow at least 64 MiB/);
});

const refused = (...args: string[]) => {
  try {
    return String(parseCommandLine(["model", ...args], quantizeOptions));
  } catch (e) {
    return (e as Error).message.replace("This command line cannot be understood: ", "");
  }
};

test.each([
  ["--grop-size", "--group-size"],
  ["--calibraton", "--calibration"],
  ["--group", "--group-size"],
  ["--bit", "--bits"],
])("%s is unknown, and %s is named instead", (given, meant) => {
  expect(refused(given, "3")).toBe(`Unknown option '${given}'. Did you mean ${meant}? See qep-studio --help.`);
});

test("an option that is like no other is only named", () => {
  for (const given of ["--colour", "--no-bits", "--x"]) expect(refused(given)).toBe(`Unknown option '${given}'. See qep-studio --help.`);
  expect(refused("-z")).toBe("Unknown option '-z'. See qep-studio --help.");
  expect(() => parseCommandLine(["model", "--txt", "a"], evaluateOptions)).toThrow("Did you mean --text?");
});

test("what Node says of other options stays", () => {
  expect(refused("--alpha")).toBe("Option '--alpha <value>' argument missing. See qep-studio --help.");
  expect(refused("--cpu=3")).toBe("Option '--cpu' does not take an argument. See qep-studio --help.");
});
