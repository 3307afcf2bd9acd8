// One line on the terminal that says how far long work has come; gone when the work is done or somebody else writes.
import type { Progress } from '@clef/core';
import { escapeControl } from '@clef/strict';

/** Work that is done sooner than this shows nothing. */
const quietMilliseconds = 1_000;
const cells = 24;
const eraseLine = '\r\u001b[2K';

export type ProgressBar = {
  readonly show: (progress: Progress) => void;
  /** Takes the line away; what is written next begins on a clean one. */
  readonly clear: () => void;
};

/**
 * @param write - To the terminal.
 * @param elapsed - Milliseconds on a clock that only grows.
 */
export function progressBar(write: (text: string) => void, elapsed: () => number): ProgressBar {
  let work: { readonly what: string; readonly since: number } | undefined;
  let isShown = false;
  const clear = (): void => {
    if (isShown) write(eraseLine);
    isShown = false;
  };
  return {
    clear,
    show: ({ what, done, total }) => {
      if (work?.what !== what) work = { what, since: elapsed() };
      if (done >= total) {
        work = undefined;
        clear();
      } else if (elapsed() - work.since >= quietMilliseconds) {
        write(`${eraseLine}${lineOf({ what, done, total })}`);
        isShown = true;
      }
    },
  };
}

function lineOf({ what, done, total }: Progress): string {
  const full = Math.floor((done / total) * cells);
  return `${escapeControl(what)} [${'#'.repeat(full)}${' '.repeat(cells - full)}] ${done}/${total}`;
}
