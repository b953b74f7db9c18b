/** The emoji that the picker offers, with the words they are found by. */

export const EMOJI = [
  ["👍", "thumbs up yes agree +1"],
  ["👎", "thumbs down no -1"],
  ["❤️", "heart love"],
  ["😂", "laugh tears joy lol"],
  ["🎉", "party celebrate done tada hooray"],
  ["🙏", "thanks please pray"],
  ["👀", "eyes looking"],
  ["✅", "done check yes tick"],
  ["🚀", "rocket ship launch"],
  ["🔥", "fire hot"],
  ["💯", "hundred full agree"],
  ["👏", "clap applause"],
  ["🙌", "hands raised hooray"],
  ["💡", "idea bulb"],
  ["🤔", "thinking hmm"],
  ["😅", "sweat phew"],
  ["😊", "smile happy"],
  ["😍", "love eyes"],
  ["😎", "cool sunglasses"],
  ["😢", "sad cry"],
  ["😭", "crying loud"],
  ["😮", "surprised wow"],
  ["😱", "scream shock"],
  ["😡", "angry"],
  ["😴", "sleep tired"],
  ["🤗", "hug"],
  ["🤝", "handshake deal"],
  ["👋", "wave hello bye"],
  ["💪", "strong muscle"],
  ["🤷", "shrug unsure"],
  ["🤞", "fingers crossed luck"],
  ["👌", "ok perfect"],
  ["⭐", "star"],
  ["✨", "sparkles new"],
  ["⏳", "waiting hourglass"],
  ["⚠️", "warning careful"],
  ["❌", "no cross wrong"],
  ["❓", "question"],
  ["🐛", "bug"],
  ["📌", "pin important"],
  ["☕️", "coffee break"],
  ["🍰", "cake birthday"],
];

/** The first thing that a reader would call one character, if that is all there is. */
export function oneCharacter(text) {
  const [first, second] = new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text.trim());
  return first && !second ? first.segment : null;
}
