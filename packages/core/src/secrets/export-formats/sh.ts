// POSIX shells, for `eval "$(clef export …)"`: between single quotes nothing is special but the quote itself.
import { type ExportDialect, linesOf, refuseNames } from './export-format.ts';

export const sh: ExportDialect = {
  setsVariables: true,
  write: ({ values }) => {
    refuseNames(values, shellsOwnNames, 'the shell itself');
    return linesOf(values, (key, value) => `export ${key}='${value.replaceAll("'", `'\\''`)}'`);
  },
};

/**
 * Variables that bash, dash or zsh compute, refuse to set, or give another meaning (zsh ties `path` to PATH, and setting
 * USERNAME changes the user). Case counts: zsh's own are in lower case.
 */
const shellsOwnNames = new RegExp(
  `^(?:${[
    'ARGC|BASHOPTS|BASHPID|BASH_ALIASES|BASH_ARGC|BASH_ARGV|BASH_CMDS|BASH_COMMAND|BASH_LINENO',
    'BASH_SOURCE|BASH_SUBSHELL|BASH_VERSINFO|COLUMNS|DIRSTACK|EGID|EPOCHREALTIME|EPOCHSECONDS|EUID',
    'FUNCNAME|FUNCNEST|GID|GROUPS|HISTCHARS|HISTCMD|HISTSIZE|KEYBOARD_HACK|KEYTIMEOUT|LINENO|LINES',
    'LISTMAX|MAILCHECK|OPTIND|PPID|RANDOM|SAVEHIST|SECONDS|SHELLOPTS|SHLVL|SRANDOM|TRY_BLOCK_ERROR',
    'TRY_BLOCK_INTERRUPT|TTYIDLE|UID|USERNAME|WATCH|ZSH_EVAL_CONTEXT|ZSH_SUBSHELL|_|aliases|argv|builtins',
    'cdpath|commands|dirstack|dis_aliases|dis_builtins|dis_functions|dis_functions_source|dis_galiases',
    'dis_patchars|dis_reswords|dis_saliases|fignore|fpath|funcfiletrace|funcsourcetrace|funcstack',
    'functions|functions_source|functrace|galiases|histchars|history|historywords|jobdirs|jobstates',
    'jobtexts|keymaps|mailpath|manpath|module_path|modules|nameddirs|options|parameters|patchars|path',
    'pipestatus|psvar|reswords|saliases|signals|status|termcap|terminfo|userdirs|usergroups|watch|widgets',
    'zsh_eval_context|zsh_scheduled_events',
  ].join('|')})$`,
);
