// Which names a secret may have in a child's environment. A name that changes how programs start is as good as code.

/** Compared in upper case: curl reads http_proxy, Windows ignores case, and a stricter answer can be overridden. */
const dangerousNames = new Set([
  // The shell and the C library
  ...[
    'PATH',
    'HOME',
    'SHELL',
    'IFS',
    'ENV',
    'BASH_ENV',
    'SHELLOPTS',
    'BASHOPTS',
    'PS4',
    'PROMPT_COMMAND',
    'CDPATH',
  ],
  ...[
    'ZDOTDIR',
    'FPATH',
    'GCONV_PATH',
    'LOCPATH',
    'NLSPATH',
    'GLIBC_TUNABLES',
    'HOSTALIASES',
    'RES_OPTIONS',
    'TMPDIR',
  ],
  // Language runtimes
  ...[
    'NODE_OPTIONS',
    'NODE_PATH',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'NODE_REPL_EXTERNAL_MODULE',
  ],
  ...['NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE', 'ELECTRON_RUN_AS_NODE', 'BUN_OPTIONS', 'DENO_DIR'],
  ...['PYTHONPATH', 'PYTHONHOME', 'PYTHONSTARTUP', 'PYTHONINSPECT', 'PYTHONBREAKPOINT', 'PYTHONUSERBASE'],
  ...['PYTHONEXECUTABLE', 'PYTHONPLATLIBDIR', 'PYTHONWARNINGS', 'PYTHONPYCACHEPREFIX', 'PYTHONCASEOK'],
  ...[
    'PERL5OPT',
    'PERL5LIB',
    'PERLLIB',
    'PERL5DB',
    'RUBYOPT',
    'RUBYLIB',
    'GEM_HOME',
    'GEM_PATH',
    'BUNDLE_GEMFILE',
  ],
  ...['JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS', 'JDK_JAVA_OPTIONS', 'CLASSPATH', 'DOTNET_STARTUP_HOOKS'],
  ...[
    'DOTNET_ADDITIONAL_DEPS',
    'PHPRC',
    'PHP_INI_SCAN_DIR',
    'LUA_INIT',
    'LUA_PATH',
    'LUA_CPATH',
    'R_PROFILE_USER',
  ],
  // Programs that other programs start
  ...[
    'EDITOR',
    'VISUAL',
    'PAGER',
    'MANPAGER',
    'LESSOPEN',
    'LESSCLOSE',
    'BROWSER',
    'SSH_ASKPASS',
    'SUDO_ASKPASS',
  ],
  ...['GIT_SSH', 'GIT_SSH_COMMAND', 'GIT_EDITOR', 'GIT_SEQUENCE_EDITOR', 'GIT_PAGER', 'GIT_ASKPASS'],
  ...[
    'GIT_EXTERNAL_DIFF',
    'GIT_EXEC_PATH',
    'GIT_TEMPLATE_DIR',
    'GIT_PROXY_COMMAND',
    'GIT_DIR',
    'GIT_COMMON_DIR',
  ],
  ...[
    'GIT_WORK_TREE',
    'GIT_INDEX_FILE',
    'GIT_OBJECT_DIRECTORY',
    'GIT_ALTERNATE_OBJECT_DIRECTORIES',
    'GIT_SSL_NO_VERIFY',
  ],
  ...['GIT_SSL_CAINFO', 'GIT_ALLOW_PROTOCOL'],
  // Prompts that a shell expands, and where programs look for files that name programs
  ...['PS0', 'PS1', 'PS2', 'BASH_LOADABLES_PATH', 'INPUTRC', 'PATHEXT', 'COMSPEC', 'PSMODULEPATH'],
  ...['XDG_CONFIG_HOME', 'XDG_CONFIG_DIRS', 'XDG_DATA_HOME', 'XDG_DATA_DIRS', 'KUBECONFIG', 'DOCKER_CONFIG'],
  ...['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'CLOUDSDK_CONFIG', 'CLOUDSDK_PYTHON', 'BOTO_CONFIG'],
  ...['ANSIBLE_CONFIG', 'ANSIBLE_LIBRARY', 'TF_CLI_CONFIG_FILE', 'HELM_PLUGINS', 'RIPGREP_CONFIG_PATH'],
  ...['VIMINIT', 'EXINIT', 'MYVIMRC', 'LESSKEYIN', 'FZF_DEFAULT_COMMAND', 'FZF_DEFAULT_OPTS'],
  // Build tools and the options of their runtimes
  ...['MAKEFLAGS', 'MAKEFILES', 'GNUMAKEFLAGS', 'CC', 'CXX', 'GOFLAGS', 'GOENV', 'GOPROXY', 'GOSUMDB'],
  ...[
    'CARGO_HOME',
    'RUSTC',
    'RUSTC_WRAPPER',
    'RUSTC_WORKSPACE_WRAPPER',
    'RUSTFLAGS',
    'MAVEN_OPTS',
    'GRADLE_OPTS',
  ],
  ...['MAVEN_ARGS', 'SBT_OPTS', 'ANT_OPTS', 'JAVA_OPTS', 'ERL_AFLAGS', 'ERL_FLAGS', 'ERL_ZFLAGS'],
  ...['JULIA_LOAD_PATH', 'JULIA_DEPOT_PATH', 'R_ENVIRON', 'R_ENVIRON_USER', 'R_PROFILE', 'TCLLIBPATH'],
  ...[
    'GUILE_LOAD_PATH',
    'DOTNET_ROOT',
    'DOTNET_TOOLS_PATH',
    'QT_PLUGIN_PATH',
    'GTK_MODULES',
    'GIO_EXTRA_MODULES',
  ],
  ...['GRADLE_USER_HOME', 'PIP_CONFIG_FILE', 'CARGO_BUILD_RUSTC', 'CARGO_BUILD_RUSTC_WRAPPER'],
  ...['YARN_YARN_PATH', 'YARN_RC_FILENAME', 'YARN_PLUGINS'],
  // Whom a program trusts
  ...[
    'OPENSSL_CONF',
    'OPENSSL_MODULES',
    'OPENSSL_ENGINES',
    'CURL_CA_BUNDLE',
    'REQUESTS_CA_BUNDLE',
    'AWS_CA_BUNDLE',
  ],
]);

const dangerousPrefixes = [
  ...['LD_', 'DYLD_', 'GIT_CONFIG', 'GIT_TRACE', 'NPM_CONFIG_', 'COR_', 'CORECLR_'],
  ...['AWS_ENDPOINT_URL', 'SSL_CERT_', 'CLEF_', 'SOPS_', 'BASH_FUNC_', '__BASH_FUNC<'],
];

/**
 * Judges the name of a variable that comes out of a secret. `malformed`: not `[A-Za-z_][A-Za-z0-9_]{0,127}` (an `=`
 * would define another variable, `BASH_FUNC_x%%` is code). `dangerous`: loads code, starts programs, moves trust or
 * speaks to Clef and SOPS themselves; only for a user who allows that very name.
 */
export function checkEnvironmentName(name: string): 'ok' | 'malformed' | 'dangerous' {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) return 'malformed';
  return isDangerousName(name) ? 'dangerous' : 'ok';
}

/**
 * Whether a name is dangerous whatever its form, for a child that gets malformed ones too: `BASH_FUNC_ls%%` is a function of
 * bash, `npm_config_script-shell` a program that npm runs.
 */
export function isDangerousName(name: string): boolean {
  const upper = name.toUpperCase();
  return (
    dangerousNames.has(upper) ||
    upper.endsWith('_PROXY') ||
    dangerousPrefixes.some((prefix) => upper.startsWith(prefix))
  );
}

/** Variables that open secrets: of no use to a child process, and worth stealing (catalogue INV-94). */
const ownVariables = /^(CLEF_AGE_KEY|CLEF_SIGNING_|CLEF_AGENT_|SOPS_AGE_)/;

/** Whether a variable is one of them. */
export function isOwnVariable(name: string): boolean {
  return ownVariables.test(name);
}

/** The environment without them. */
export function withoutOwnVariables(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !isOwnVariable(name)));
}
