// Defers signals around a piece of work. Arguments: milliseconds of work, or "forever"; says what happens.
import { setTimeout as sleep } from 'node:timers/promises';
import { deferSignals } from '../../src/index.ts';

const [length = '0', listener] = process.argv.slice(2);
if (listener !== undefined) process.on('SIGTERM', () => console.log('its own listener'));
await deferSignals(
  async (isInterrupted) => {
    console.log('begun');
    if (length === 'forever') await sleep(60_000);
    await sleep(Number(length));
    console.log(isInterrupted() ? 'whole, and somebody waits' : 'whole');
  },
  async () => console.log('released'),
);
console.log('went on');
