// One RSA key of one Azure Key Vault, answered as Azure does, with the login and the managed identity that lead to it.
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import type { JsonAnswer, Question, Service } from './answer-json.ts';

export const azureToken = 'example-token';
export const azureTenant = '00000000-1111-2222-3333-444444444444';
/** Where Azure's own libraries look, and a proxy leads them here instead. */
export const azureHosts = (vault: string): readonly string[] => [
  `${vault}.vault.azure.net`,
  'login.microsoftonline.com',
];

export type AzureKeyNames = { readonly vault: string; readonly name: string; readonly version: string };

/** The address of the key, which is also how sops names it. */
export function azureKid({ vault, name, version }: AzureKeyNames): string {
  return `https://${vault}.vault.azure.net/keys/${name}/${version}`;
}

/** The key's two operations; without a token the challenge that Azure's libraries expect. */
export function fakeAzureKeyVault(names: AzureKeyNames): Service {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;
  const path = new RegExp(`^/keys/${names.name}/${names.version}/(encrypt|decrypt)\\?api-version=7\\.[0-9]$`);
  return (question) => {
    if (question.headers.authorization !== `Bearer ${azureToken}`) return challenge();
    const [, verb] = path.exec(question.path) ?? [];
    if (verb === undefined) return { status: 404, value: { error: { code: 'KeyNotFound' } } };
    if (question.body['alg'] !== 'RSA-OAEP-256') return badParameter;
    const value = Buffer.from(question.body['value'] ?? '', 'base64url');
    try {
      const result =
        verb === 'encrypt'
          ? publicEncrypt({ key: publicKey, ...oaep }, value)
          : privateDecrypt({ key: privateKey, ...oaep }, value);
      return { status: 200, value: { kid: azureKid(names), value: result.toString('base64url') } };
    } catch {
      return badParameter;
    }
  };
}

const badParameter: JsonAnswer = { status: 400, value: { error: { code: 'BadParameter' } } };

function challenge(): JsonAnswer {
  const authority = `https://login.microsoftonline.com/${azureTenant}`;
  return {
    status: 401,
    value: { error: { code: 'Unauthorized' } },
    headers: {
      'www-authenticate': `Bearer authorization="${authority}", resource="https://vault.azure.net"`,
    },
  };
}

/** The vault with what gives out its token: Microsoft's login by name, a managed identity below `/msi`. */
export function withAzureLogins(vault: Service): Service {
  return (question) => {
    if (question.headers.host?.startsWith('login.') === true) return { status: 200, value: login(question) };
    if (!question.path.startsWith('/msi')) return vault(question);
    const token = { access_token: azureToken, expires_on: '4102444800', resource: 'x', token_type: 'Bearer' };
    return { status: 200, value: token };
  };
}

function login({ path }: Question): object {
  const origin = `https://login.microsoftonline.com/${azureTenant}`;
  if (path.includes('/oauth2/v2.0/token'))
    return { token_type: 'Bearer', expires_in: 3600, access_token: azureToken };
  const host = 'login.microsoftonline.com';
  return {
    tenant_discovery_endpoint: `${origin}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    token_endpoint: `${origin}/oauth2/v2.0/token`,
    authorization_endpoint: `${origin}/oauth2/v2.0/authorize`,
    issuer: `${origin}/v2.0`,
  };
}
