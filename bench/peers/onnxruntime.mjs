// SPDX-License-Identifier: MIT
// ONNX Runtime's Softmax. Its time is that of the kernel in the runtime's own profile (in whole
// microseconds, rounded down), not of the call from JavaScript. Answers compare.py, which describes
// requests and answers: onnxruntime.mjs LOGITS RESULTS
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {createInterface} from 'node:readline';

const require = createRequire(resolve('build/release/peers') + '/');
const ort = require('onnxruntime-node');

// A model file (onnx.proto) of one node, p = Softmax(z), z and p of shape [rows, columns]. The
// fields are those of Protocol Buffers: number and kind in one byte, a length below 128, content.
function softmaxModel() {
    const int = (number, value) => [number << 3, value];
    const message = (number, ...fields) => {
        const content = fields.flat();
        return [(number << 3) | 2, content.length, ...content];
    };
    const text = (number, s) => message(number, [...Buffer.from(s)]);

    const float = int(1, 1);
    const shape = message(2, message(1, text(2, 'rows')), message(1, text(2, 'columns')));
    const matrix = message(2, message(1, float, shape));
    const node = message(1, text(1, 'z'), text(2, 'p'), text(3, 'softmax'), text(4, 'Softmax'));
    const graph = message(7, node, text(2, 'graph'), message(11, text(1, 'z'), matrix),
                          message(12, text(1, 'p'), matrix));
    const irVersion = int(1, 8), operatorSet = message(8, int(2, 13));
    return Uint8Array.from([...irVersion, ...graph, ...operatorSet]);
}

const bytes = readFileSync(process.argv[2]);
const logits = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const results = new Float32Array(logits.length);
const model = softmaxModel();

async function answer(rows, cols, threads, repeats, nSaved) {
    const folder = mkdtempSync(join(tmpdir(), 'peers-'));
    const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: threads, interOpNumThreads: 1,
        enableProfiling: true, profileFilePrefix: join(folder, 'profile'),
    });
    const matrix = (whole) =>
        new ort.Tensor('float32', whole.subarray(0, rows * cols), [rows, cols]);
    const z = {z: matrix(logits)}, p = {p: matrix(results)};
    const start = performance.now();
    while (performance.now() - start < 50)
        await session.run(z, p);
    for (let k = 0; k < repeats; k++)
        await session.run(z, p);
    session.endProfiling();
    await session.release();
    const profile = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0])));
    rmSync(folder, {recursive: true});

    const times = profile.filter((event) => event.name === 'softmax_kernel_time')
        .slice(-repeats).map((event) => event.dur);
    if (times.length !== repeats)
        throw new Error(`the profile has ${times.length} runs, less than ${repeats}`);
    if (nSaved > 0)
        writeFileSync(process.argv[3], results.subarray(0, nSaved));
    return times.reduce((sum, t) => sum + t) / repeats / (rows * cols) * 1e3;
}

console.log(`ONNX Runtime ${ort.env.versions.common}, kernel`);
for await (const request of createInterface({input: process.stdin}))
    console.log(await answer(...request.split(' ').map(Number)));
