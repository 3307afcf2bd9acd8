import { describe, expect, it } from 'vitest';
import { checkEnvironmentName } from '../src/index.ts';

describe('checkEnvironmentName', () => {
  it.each([
    ...['A', '_', 'DB_URL', 'db_url', '__proto__', 'constructor', 'A1', 'X'.repeat(128)],
    ...[
      'GIT_TOKEN',
      'GITHUB_TOKEN',
      'AWS_REGION',
      'AWS_ACCESS_KEY_ID',
      'NODE_ENV',
      'PYTHON_VERSION',
      'HOMEPAGE',
    ],
    ...['PATHS', 'PROXY', 'LDAP_URL', 'SSL_KEY', 'OLD_', 'ENVIRONMENT', 'JAVA_HOME', 'CLEFS', 'SOPS'],
  ])('accepts %s', (name) => {
    expect(checkEnvironmentName(name)).toBe('ok');
  });

  it.each([
    ...[
      '',
      ' ',
      'A B',
      'A-B',
      'A.B',
      'A:B',
      'A=B',
      'LD_PRELOAD=/x #',
      '=A',
      '1A',
      '-x',
      'é',
      'Ａ',
      'A\0',
      'A\n',
      '\nA',
    ],
    ...['BASH_FUNC_ls%%', 'A%', 'A()', '$A', 'A\u200b', 'X'.repeat(129)],
  ])('INV-92: %j is malformed', (name) => {
    expect(checkEnvironmentName(name)).toBe('malformed');
  });

  it.each([
    ...[
      'PS1',
      'PS0',
      'XDG_CONFIG_HOME',
      'KUBECONFIG',
      'AWS_CONFIG_FILE',
      'CLOUDSDK_PYTHON',
      'GOFLAGS',
      'MAKEFILES',
    ],
    ...[
      'RUSTC_WRAPPER',
      'MAVEN_OPTS',
      'ERL_AFLAGS',
      'VIMINIT',
      'FZF_DEFAULT_COMMAND',
      'PSModulePath',
      'ComSpec',
    ],
  ])('INV-93: %s names a program, or a file that names one', (name) => {
    expect(checkEnvironmentName(name)).toBe('dangerous');
  });

  it.each([
    ...[
      'LD_PRELOAD',
      'LD_LIBRARY_PATH',
      'LD_AUDIT',
      'DYLD_INSERT_LIBRARIES',
      'GCONV_PATH',
      'PATH',
      'HOME',
      'IFS',
      'ENV',
    ],
    ...['BASH_ENV', 'SHELLOPTS', 'PS4', 'PROMPT_COMMAND', 'NODE_OPTIONS', 'NODE_PATH', 'NODE_EXTRA_CA_CERTS'],
    ...[
      'NODE_TLS_REJECT_UNAUTHORIZED',
      'PYTHONPATH',
      'PYTHONHOME',
      'PYTHONSTARTUP',
      'PYTHONINSPECT',
      'PYTHONBREAKPOINT',
    ],
    ...[
      'PYTHONWARNINGS',
      'PYTHONUSERBASE',
      'PERL5OPT',
      'PERL5LIB',
      'RUBYOPT',
      'RUBYLIB',
      'JAVA_TOOL_OPTIONS',
      ...['YARN_YARN_PATH', 'CARGO_BUILD_RUSTC', 'GRADLE_USER_HOME', 'PIP_CONFIG_FILE'],
    ],
    ...[
      '_JAVA_OPTIONS',
      'JDK_JAVA_OPTIONS',
      'CLASSPATH',
      'GIT_SSH',
      'GIT_SSH_COMMAND',
      'GIT_EDITOR',
      'GIT_PAGER',
    ],
    ...[
      'GIT_ASKPASS',
      'GIT_EXTERNAL_DIFF',
      'GIT_EXEC_PATH',
      'GIT_SEQUENCE_EDITOR',
      'GIT_PROXY_COMMAND',
      'GIT_CONFIG',
    ],
    ...[
      'GIT_CONFIG_COUNT',
      'GIT_CONFIG_KEY_0',
      'GIT_CONFIG_GLOBAL',
      'GIT_TEMPLATE_DIR',
      'GIT_DIR',
      'EDITOR',
      'VISUAL',
    ],
    ...[
      'PAGER',
      'BROWSER',
      'HTTP_PROXY',
      'http_proxy',
      'https_proxy',
      'ALL_PROXY',
      'NO_PROXY',
      'AWS_ENDPOINT_URL',
    ],
    ...[
      'AWS_ENDPOINT_URL_KMS',
      'SSL_CERT_FILE',
      'SSL_CERT_DIR',
      'CLEF_AGE_KEY',
      'CLEF_',
      'SOPS_AGE_KEY_FILE',
    ],
    ...['path', 'Path', 'Node_Options', 'ld_preload', 'clef_age_key'],
  ])('INV-93: %s is dangerous', (name) => {
    expect(checkEnvironmentName(name)).toBe('dangerous');
  });
});
