// The log: one line an event, on standard error. Events and reasons are words from the code; no value, key name, token,
// path or address of a key is ever logged.
import { formatTimestamp } from '@clef/strict';
import type { AgentWorld } from './world.ts';

export type LogFormat = 'json' | 'text';

/** What an event may say besides its name. */
export type LogDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export type Log = {
  info(event: string, details?: LogDetails): void;
  warn(event: string, details?: LogDetails): void;
  error(event: string, details?: LogDetails): void;
};

/** About a thousand lines. */
const maxUnreadBytes = 256 * 1024;

/**
 * A log in JSON lines, or in words for a person. Where nobody reads it nothing waits for it: lines beyond those that are
 * kept are dropped, and the next one says how many.
 */
export function createLog(
  format: LogFormat,
  world: Pick<AgentWorld, 'now' | 'talk' | 'unreadLogBytes'>,
): Log {
  let dropped = 0;
  const write = (level: 'info' | 'warn' | 'error', event: string, more: LogDetails = {}): void => {
    if ((world.unreadLogBytes?.() ?? 0) > maxUnreadBytes) return void dropped++;
    const details = dropped === 0 ? more : { ...more, dropped };
    dropped = 0;
    const time = formatTimestamp(world.now());
    world.talk(
      `${format === 'json' ? JSON.stringify({ time, level, event, ...details }) : inWords(level, event, details)}\n`,
    );
  };
  return {
    info: (event, details) => write('info', event, details),
    warn: (event, details) => write('warn', event, details),
    error: (event, details) => write('error', event, details),
  };
}

/** `agent ready http://127.0.0.1:7779 revision=3` */
function inWords(level: string, event: string, { message, url, ...details }: LogDetails): string {
  const mark = level === 'info' ? 'agent' : `agent ${level}:`;
  const shown = Object.entries(details).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const words = [
    mark,
    event.replaceAll('_', ' '),
    url,
    ...shown,
    message === undefined ? undefined : `(${message})`,
  ];
  return words.filter((word) => word !== undefined).join(' ');
}
