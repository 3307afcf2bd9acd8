// Replaces a file over and over, for tests that kill or starve the process. Arguments: path, size in bytes, times.
import { HostError, replaceFile } from '../../src/index.ts';

const [path = '', size = '0', times = '1'] = process.argv.slice(2);
try {
  for (let round = 0; round < Number(times); round += 1) {
    await replaceFile(path, new Uint8Array(Number(size)).fill(round % 2 === 0 ? 0x41 : 0x42));
    if (round === 0) console.log('begun');
  }
} catch (cause) {
  console.log(cause instanceof HostError ? `refused: ${cause.code}` : String(cause));
  process.exitCode = 1;
}
