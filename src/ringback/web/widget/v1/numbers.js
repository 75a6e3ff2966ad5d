// Phone numbers as they are typed. No table of all numbering plans: the server is the judge.

// How long the groups of a national number are, without the 0 in front, by calling code and perhaps the first digit; 3 each
// elsewhere.
const GROUPS = {
  1: [3, 3, 4], 31: [2, 3, 4], 32: [3, 2, 2, 2], 33: [1, 2, 2, 2, 2], 44: [4, 3, 3], 442: [2, 4, 4], 45: [2, 2, 2, 2], 47: [3, 2, 3],
};
const LONGEST = 30;

export const digitsOf = (text) => text.replace(/\D/g, "");
export const isInternational = (text) => /^\s*(\+|00)/.test(text);

/** The digits in groups, a + stays. What is no digit goes. */
export function grouped(text, code) {
  const digits = digitsOf(text.slice(0, LONGEST));
  if (text.trim()[0] === "+") return "+" + digits.replace(/(\d{2,3})(?=\d)/g, "$1 ");
  const first = digits.replace(/^0/, "")[0];
  const sizes = isInternational(text) ? [] : [...(GROUPS[code + first] || GROUPS[code] || [])];
  const parts = [];
  for (let at = 0; at < digits.length; at += parts.at(-1).length) {
    const size = (sizes.shift() || 3) + (at === 0 && digits[0] === "0" ? 1 : 0);
    parts.push(digits.slice(at, at + size));
  }
  return parts.join(" ");
}

/** Groups what is in the field. The caret stays behind the same digit, so that typing in the middle works. */
export function format(input, code, event) {
  if (event.isComposing) return;
  let left = digitsOf(input.value.slice(0, input.selectionStart)).length;
  input.value = grouped(input.value, code);
  let at = input.value[0] === "+" ? 1 : 0;
  while (left > 0 && at < input.value.length) left -= /\d/.test(input.value[at++]);
  if (event.inputType === "deleteContentForward" && input.value[at] === " ") at++; // or Delete would stop at the gap
  input.setSelectionRange(at, at);
}

/** The country of an international number among `countries`, [[ISO, code], …]; `chosen` where several share a code. */
export function countryOf(text, countries, chosen) {
  const digits = digitsOf(text).replace(/^00/, "");
  const fitting = countries.filter((each) => digits.startsWith(each[1])).sort((a, b) => b[1].length - a[1].length);
  const found = fitting.find((each) => each[0] === chosen && each[1] === fitting[0][1]) || fitting[0];
  return found && found[0];
}

/** What is wrong at first sight: `empty`, `country`, `number`; null for nothing. */
export function faultOf(text, countries, chosen) {
  const digits = digitsOf(text);
  if (!digits) return "empty";
  if (isInternational(text) && !countryOf(text, countries, chosen)) return "country";
  return digits.length < 5 || digits.length > 17 ? "number" : null;
}
