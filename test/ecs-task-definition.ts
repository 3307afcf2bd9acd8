// The part of the ECS RegisterTaskDefinition request that deploy/ uses, written from its public reference: an own and strict
// subset, in which a field that is not listed is an error. The peer test asks AWS's own client as well.
const text = { type: 'string', minLength: 1 };
const strict = (properties: object, required: readonly string[] = []): object => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});
const listOf = (items: object): object => ({ type: 'array', items, minItems: 1 });
const number = (minimum: number, maximum: number): object => ({ type: 'integer', minimum, maximum });

const container = strict(
  {
    name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,255}$' },
    image: text,
    essential: { type: 'boolean' },
    user: { type: 'string', pattern: '^[0-9]+:[0-9]+$' },
    readonlyRootFilesystem: { type: 'boolean' },
    linuxParameters: strict({
      initProcessEnabled: { type: 'boolean' },
      capabilities: strict({ drop: listOf(text) }),
    }),
    environment: listOf(strict({ name: text, value: text }, ['name', 'value'])),
    dependsOn: listOf(
      strict({ containerName: text, condition: { enum: ['START', 'COMPLETE', 'SUCCESS', 'HEALTHY'] } }, [
        'containerName',
        'condition',
      ]),
    ),
    healthCheck: strict(
      {
        command: { type: 'array', items: text, minItems: 2 },
        interval: number(5, 300),
        timeout: number(2, 60),
        retries: number(1, 10),
        startPeriod: number(0, 300),
      },
      ['command'],
    ),
    mountPoints: listOf(
      strict({ sourceVolume: text, containerPath: text, readOnly: { type: 'boolean' } }, [
        'sourceVolume',
        'containerPath',
      ]),
    ),
    logConfiguration: strict(
      { logDriver: { enum: ['awslogs'] }, options: { type: 'object', additionalProperties: text } },
      ['logDriver'],
    ),
    stopTimeout: number(2, 120),
  },
  ['name', 'image', 'essential', 'user', 'readonlyRootFilesystem', 'linuxParameters'],
);

export const ecsTaskDefinition = strict(
  {
    family: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,255}$' },
    requiresCompatibilities: listOf({ enum: ['EC2', 'FARGATE', 'EXTERNAL'] }),
    networkMode: { enum: ['awsvpc'] },
    cpu: { enum: ['256', '512', '1024', '2048', '4096'] },
    memory: { type: 'string', pattern: '^[0-9]+$' },
    runtimePlatform: strict({
      operatingSystemFamily: { enum: ['LINUX'] },
      cpuArchitecture: { enum: ['X86_64', 'ARM64'] },
    }),
    taskRoleArn: { type: 'string', pattern: '^arn:aws:iam::[0-9]{12}:role/' },
    executionRoleArn: { type: 'string', pattern: '^arn:aws:iam::[0-9]{12}:role/' },
    volumes: listOf(strict({ name: text }, ['name'])),
    containerDefinitions: listOf(container),
  },
  ['family', 'networkMode', 'taskRoleArn', 'containerDefinitions'],
);
