// SPDX-License-Identifier: MIT
// Compares Tempera with @huggingface/gguf and llama.cpp: see run.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { gguf } from "@huggingface/gguf";
import { getLlama } from "node-llama-cpp";
import { character, makeStrings } from "./strings.mjs";

const [ours, work, kjv, trained] = process.argv.slice(2);
const strings = makeStrings();
let nFailures = 0;

function report(what, failure) {
    console.log(`${failure ? "FAILED" : "ok    "} ${what}${failure ? ": " + failure : ""}`);
    if (failure) nFailures++;
}

// The records of ours.c.
function records(texts) {
    return Buffer.concat(texts.flatMap((text) => {
        const bytes = Buffer.from(text, "utf8");
        const length = Buffer.alloc(4);
        length.writeUInt32LE(bytes.length);
        return [length, bytes];
    }));
}

function ask(args, texts) {
    return execFileSync(ours, args, { input: records(texts), maxBuffer: 1 << 30 });
}

function ourIds(model, texts) {
    const answer = ask(["ids", model], texts);
    let at = 0;
    return texts.map(() => {
        const n = answer.readUInt32LE(at);
        const ids = new Int32Array(answer.buffer.slice(answer.byteOffset + at + 4,
                                                       answer.byteOffset + at + 4 + 4 * n));
        at += 4 + 4 * n;
        return ids;
    });
}

// "" if llama.cpp gives the same ids for all texts. Decoding is ours.c's to check: llama.cpp's
// whole-text decoding takes out blanks before full stops and the like.
function compareIds(model, path, texts) {
    const all = ourIds(path, texts);
    for (const [i, text] of texts.entries()) {
        const theirs = model.tokenize(text, false);
        const at = theirs.findIndex((id, j) => id !== all[i][j]);
        if (at >= 0 || theirs.length !== all[i].length)
            return `text ${i} (${JSON.stringify(text.slice(0, 60))}), token ${at}: ` +
                `${theirs.slice(Math.max(at, 0), at + 5)} there, ${all[i].slice(Math.max(at, 0), at + 5)} here`;
    }
    return "";
}

async function readWithHuggingface(path) {
    const { metadata, tensorInfos } = await gguf(path, { allowLocalFile: true });
    assert.equal(metadata["general.architecture"], "llama");
    assert.equal(metadata["tokenizer.ggml.model"], "gpt2");
    assert.equal(metadata["tokenizer.ggml.tokens"].length, metadata["llama.vocab_size"]);
    assert.equal(metadata["tokenizer.ggml.merges"].length, metadata["llama.vocab_size"] - 257);
    const embedding = tensorInfos.find((tensor) => tensor.name === "token_embd.weight");
    assert.deepEqual(embedding.shape.map(Number),
                     [metadata["llama.embedding_length"], metadata["llama.vocab_size"]]);
    return `${Object.keys(metadata).length} keys, ${tensorInfos.length} tensors`;
}

// Every character of the planes that have any, after a letter, a number, a sign and a tab.
function everyCharacter() {
    const texts = [];
    for (let first = 0; first < 0x110000; first += 0x1000) {
        const plane = first >> 16;
        if (plane > 3 && plane !== 14 && (first & 0xF000) !== 0) continue;
        let text = "";
        for (let c = first; c < first + 0x1000; c++) {
            if (c >= 0xD800 && c <= 0xDFFF) continue;
            const s = String.fromCodePoint(c);
            text += `a${s}1${s}!${s}\t${s}`;
        }
        texts.push(text);
    }
    return texts;
}

async function compareGreedy(model, path, prompts, n) {
    const lines = ask(["greedy", path, String(n)], prompts).toString().trim().split("\n");
    const context = await model.createContext({
        contextSize: 256, threads: 2, flashAttention: false,
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
    });
    let nEqual = 0, closest = Infinity;
    for (const [i, prompt] of prompts.entries()) {
        const sequence = context.getSequence();
        const theirs = [];
        const options = { temperature: 0, yieldEogToken: true };
        for await (const id of sequence.evaluate(model.tokenize(prompt, false), options)) {
            theirs.push(id);
            if (theirs.length === n) break;
        }
        sequence.dispose();
        for (const [j, id] of theirs.entries()) {
            const [here, gap] = lines[i * n + j].split(" ").map(Number);
            closest = Math.min(closest, gap);
            if (id === here) {
                nEqual++;
                continue;
            }
            if (gap < 1e-4) {
                console.log(`       prompt ${i}: scores ${gap} apart at token ${j}, stopped there`);
                break;
            }
            return `prompt ${i}, token ${j}: ${id} there, ${here} here, ${gap} above the second`;
        }
    }
    await context.dispose();
    console.log(`       ${nEqual} tokens equal; the two best scores were at least ${closest} apart`);
    return nEqual >= prompts.length * n / 2 ? "" : `only ${nEqual} tokens were compared`;
}

const llama = await getLlama({ build: "never", gpu: false, progressLogs: false,
                               skipDownload: true, logLevel: "error" });
const load = (modelPath) => llama.loadModel({ modelPath });

// A vocabulary that has merges in many scripts: the large text, and these strings again and again.
const textPath = `${work}/text.txt`, modelPath = `${work}/model.gguf`;
copyFileSync(kjv, textPath);
for (let i = 0; i < 20; i++) appendFileSync(textPath, strings.join("\n"));
execFileSync(ours, ["model", modelPath, textPath, "4096"]);
report(`@huggingface/gguf reads a model: ${await readWithHuggingface(modelPath)}`, "");
let model = await load(modelPath);
report(`ids of ${strings.length} multilingual strings`, compareIds(model, modelPath, strings));
const large = readFileSync(kjv, "utf8").slice(0, 1 << 20);
report(`ids of ${large.length} characters of the large text`, compareIds(model, modelPath, [large]));
let mix = "";
for (let i = 0; i < 20000; i++) mix += character(1 + i % 4);
report(`ids of ${mix.length} random characters`, compareIds(model, modelPath, [mix]));
report("ids of long words", compareIds(model, modelPath,
       ["a".repeat(20000), " ".repeat(20000), "ab'".repeat(7000), "the".repeat(7000)]));
await model.dispose();

const classesPath = `${work}/classes.gguf`;
execFileSync(ours, ["classes", classesPath]);
model = await load(classesPath);
const characters = everyCharacter();
report("classes of every character",
       compareIds(model, classesPath, characters));
await model.dispose();

const bytesText = `${work}/bytes.txt`, bytesPath = `${work}/bytes.gguf`;
writeFileSync(bytesText, "no pair at all");
execFileSync(ours, ["model", bytesPath, bytesText, "257"]);
model = await load(bytesPath);
report("ids without any merge", compareIds(model, bytesPath, strings));
await model.dispose();

const prompts = ["Humpty Dumpty sat", "And the", "Jack and Jill\nwent", "One, two,", "Mary"];
for (const path of trained.split(",")) {
    model = await load(path);
    report(`greedy tokens of ${path.split("/").pop()}, five prompts x 128`,
           await compareGreedy(model, path, prompts, 128));
    await model.dispose();
}
await llama.dispose();
console.log(`${nFailures} failures`);
process.exitCode = nFailures === 0 ? 0 : 1;
