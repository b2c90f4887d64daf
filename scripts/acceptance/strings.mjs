// SPDX-License-Identifier: MIT
// 300 strings that are hard to cut into words alike: every length of UTF-8, letters and numbers of
// many scripts, combining marks, emoji joined from several, all white space, control characters,
// characters at the borders of Unicode's classes and versions, and mixes of these. The same each
// time.

const words = [
    "The quick brown fox", "I'm you're he'll we've she'd it's don't", "DON'T YOU'RE", "'s't're",
    "naïve café", "Straße ßẞ", "Ωμέγα", "привет мир", "שָׁלוֹם", "السَّلَامُ عَلَيْكُمْ", "नमस्ते दुनिया",
    "สวัสดีชาวโลก", "你好世界", "こんにちは、世界。", "안녕하세요 세계", "e\u0301e\u0323\u0302", "Z̸̢̛a̷l̵g̶o̷",
    "👋🌍", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "3.14159", "1,000,000", "٠١٢٣٤٥", "Ⅷ ½ ² ³",
    "①②③", "x=y+z;", "#include <stdio.h>", "a_b-c", "((()))", "…—–", "«»„“", "http://a.b/c?d=e&f",
    "user@example.org", "C:\\path\\file", "\u{1D400}\u{1D7D8}", "\u{20000}\u{2EBF0}\u{2EE5D}",
    "\u{2EE5E}\u{2FFFF}\u{10FFFF}", "\u0378\u{1FFFF}", "\u{E0001}\u{E0100}", "\u200B\u200C\u200D\uFEFF",
    "<|endoftext|>", "<s></s>", "\u{1F3F4}\u{E0067}\u{E0062}\u{E007F}", "ǅǈ", "ªº", "\u02B0\u02C2",
    "\u00AD", "\uFFFD", "\uFFFC", "ﷺ", "𒀀𓀀", "\u{1E900}\u{1E950}", "\u3007\u3021", "\uD7FF\uE000",
];
const spaces = [
    " ", "  ", "   ", "          ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\t", "\t\t", " \n", "\n ",
    " \t ", "\v", "\f", "\u0085", "\u00A0", "\u00A0\u00A0", "\u1680", "\u180E", "\u2000\u200A",
    "\u2028", "\u2029", "\u202F", "\u205F", "\u3000", " \u3000 ", "\u001C\u001D\u001E\u001F", "\u200B",
];
const controls = ["\u0000", "\u0001\u0002", "\u0007", "\u001B[0m", "\u007F", "\u0080\u009F", "a\u0000b"];

// xorshift32: small, and the same everywhere.
let state = 20250301;
export function random(n) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
}

function pick(list) {
    return list[random(list.length)];
}

// A character whose UTF-8 has 1, 2, 3 or 4 bytes.
export function character(length) {
    const first = [0, 0x80, 0x800, 0x10000][length - 1];
    const end = [0x80, 0x800, 0x10000, 0x110000][length - 1];
    for (;;) {
        const c = first + random(end - first);
        if (c < 0xD800 || c > 0xDFFF) return String.fromCodePoint(c);
    }
}

export function makeStrings() {
    const strings = ["", ...words, ...spaces, ...controls];
    for (const space of spaces) strings.push("a" + space + "b", space + "1" + space);
    while (strings.length < 220) {
        let text = "";
        for (let i = 2 + random(6); i > 0; i--)
            text += pick([pick(words), pick(spaces), pick(words), pick(controls), pick(spaces)]);
        strings.push(text);
    }
    while (strings.length < 300) {
        let text = "";
        for (let i = 1 + random(40); i > 0; i--)
            text += random(3) === 0 ? pick(spaces) : character(1 + random(4));
        strings.push(text);
    }
    return strings;
}
