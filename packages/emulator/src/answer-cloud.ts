// Which protocol a request on the main port speaks. The port is also the administrator's own Google metadata server, so
// that Google's default credentials work for whoever sets things up.
import { errorReply, type LoopbackRequest, type Reply } from '@clef/loopback';
import { answerKms } from './aws/kms-protocol.ts';
import { answerSts } from './aws/sts.ts';
import type { Cloud } from './cloud.ts';
import { answerGcpKms } from './gcp/kms-protocol.ts';
import { gceMetadata } from './machines/gce-metadata.ts';

/** Returns the main port's answerer. */
export function answerCloud(cloud: Cloud): (request: LoopbackRequest) => Reply | Promise<Reply> {
  const metadata = gceMetadata(cloud, { role: undefined, session: 'administrator' });
  return (request) => {
    if (request.path === '/' && request.method === 'POST') {
      return isForm(request) ? answerSts(cloud, request) : answerKms(cloud, request);
    }
    if (request.path.startsWith('/v1/')) return answerGcpKms(cloud, request);
    if (request.path === '/' || request.path.startsWith('/computeMetadata/')) return metadata(request);
    return errorReply(404, 'not_found', 'There is nothing at this path');
  };
}

function isForm(request: LoopbackRequest): boolean {
  return request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true;
}
