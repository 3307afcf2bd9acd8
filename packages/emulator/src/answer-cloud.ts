// Which protocol a request on the main port speaks. The port is also the administrator's own Google metadata server, so
// that Google's default credentials work for whoever sets things up.
import { errorReply, type LoopbackRequest, type Reply } from '@clef/loopback';
import { answerKms, kmsOperationName } from './aws/kms-protocol.ts';
import { answerSts, stsOperationName } from './aws/sts.ts';
import type { Cloud } from './cloud.ts';
import type { Faults } from './faults.ts';
import { answerGcpKms, gcpOperationName } from './gcp/kms-protocol.ts';
import { gceMetadata } from './machines/gce-metadata.ts';

/** Returns the main port's answerer. */
export function answerCloud(
  cloud: Cloud,
  faults: Faults,
): (request: LoopbackRequest) => Reply | Promise<Reply> {
  const metadata = gceMetadata(cloud, { role: undefined, session: 'administrator' });
  return (request) => {
    if (request.path === '/' && request.method === 'POST') {
      return isForm(request)
        ? faults.around(cloud, request, stsOperationName(request), () => answerSts(cloud, request))
        : faults.around(cloud, request, kmsOperationName(request), () => answerKms(cloud, request));
    }
    if (request.path.startsWith('/v1/'))
      return faults.around(cloud, request, gcpOperationName(request), () => answerGcpKms(cloud, request));
    if (request.path === '/' || request.path.startsWith('/computeMetadata/')) return metadata(request);
    return errorReply(404, 'not_found', 'There is nothing at this path');
  };
}

function isForm(request: LoopbackRequest): boolean {
  return request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true;
}
