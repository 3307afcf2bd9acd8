// fish, for `clef export … --format fish | source`: between single quotes only the quote and the backslash are special.
import { type ExportDialect, linesOf, refuseNames } from './export-format.ts';

export const fish: ExportDialect = {
  setsVariables: true,
  write: ({ values }) => {
    refuseNames(values, fishsOwnNames, 'fish itself');
    return linesOf(values, (key, value) => `set -gx ${key} '${value.replaceAll(/['\\]/g, '\\$&')}'`);
  },
};

/** Read-only, computed, or checked when they are set. */
const fishsOwnNames =
  /^(?:_|argv|status|pipestatus|status_generation|version|FISH_VERSION|history|hostname|umask|PWD|SHLVL|fish_(?:kill_signal|killring|pid))$/;
