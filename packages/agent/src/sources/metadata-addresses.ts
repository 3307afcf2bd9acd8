// The addresses at which a machine is told its own credentials: no source of artifacts, whatever the name that leads there.
import { BlockList, isIP } from 'node:net';

const metadataAddresses = new BlockList();
metadataAddresses.addSubnet('169.254.0.0', 16, 'ipv4');
metadataAddresses.addSubnet('fe80::', 10, 'ipv6');
metadataAddresses.addAddress('fd00:ec2::254', 'ipv6');
metadataAddresses.addAddress('100.100.100.200', 'ipv4');
metadataAddresses.addAddress('168.63.129.16', 'ipv4');

/** Whether this literal address is link-local or a cloud's metadata service. */
export function isMetadataAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && metadataAddresses.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
