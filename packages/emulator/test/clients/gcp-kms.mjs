// A workload on Google Cloud: the official auth library with its default credentials, and one REST call.
import { GoogleAuth, gcpMetadata } from 'google-auth-library';

const request = JSON.parse(process.argv[2]);
// Without a project the library runs the gcloud command to learn one, which takes a second.
const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform', projectId: 'any' });
const client = await auth.getClient();
const project = await gcpMetadata.project('project-id');
const email = (await auth.getCredentials()).client_email;
const answer = await client.request({
  url: `${process.env.CLEF_GCP_KMS_ENDPOINT}/v1/${request.path}`,
  method: 'POST',
  data: request.body,
  validateStatus: () => true,
});
console.log(JSON.stringify({ project, email, status: answer.status, body: answer.data }));
