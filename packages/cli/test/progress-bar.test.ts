// The line of progress: shown late, taken away always.
import { describe, expect, it } from 'vitest';
import { progressBar } from '../src/progress-bar.ts';

const erase = '\r\u001b[2K';

function bar() {
  const written: string[] = [];
  const clock = { now: 0 };
  const { show, clear } = progressBar(
    (text) => written.push(text),
    () => clock.now,
  );
  return { written, clock, show, clear };
}

describe('the progress bar', () => {
  it('says nothing in the first second', () => {
    const { written, clock, show } = bar();
    show({ what: 'Rotating', done: 0, total: 4 });
    clock.now = 999;
    show({ what: 'Rotating', done: 1, total: 4 });
    expect(written).toEqual([]);
  });

  it('then says how far the work is, and takes the line away at its end', () => {
    const { written, clock, show } = bar();
    show({ what: 'Rotating', done: 0, total: 4 });
    clock.now = 1_000;
    show({ what: 'Rotating', done: 1, total: 4 });
    show({ what: 'Rotating', done: 4, total: 4 });
    expect(written).toEqual([`${erase}Rotating [######                  ] 1/4`, erase]);
  });

  it('makes way for a line of talk, once', () => {
    const { written, clock, show, clear } = bar();
    show({ what: 'Rotating', done: 0, total: 4 });
    clock.now = 1_000;
    show({ what: 'Rotating', done: 1, total: 4 });
    clear();
    clear();
    expect(written.slice(1)).toEqual([erase]);
  });

  it('waits a second again for the next work', () => {
    const { written, clock, show } = bar();
    show({ what: 'Reading', done: 0, total: 2 });
    clock.now = 1_500;
    show({ what: 'Writing', done: 0, total: 2 });
    expect(written).toEqual([]);
  });
});
