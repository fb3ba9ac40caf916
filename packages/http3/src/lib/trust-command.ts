// How to make a machine trust the development authority.
import { existsSync } from "node:fs";

/** The shell command for this platform; it asks for the rights it needs. */
export function trustCommand(caPath: string, platform: NodeJS.Platform = process.platform): string {
  const file = quote(caPath, platform);
  if (platform === "darwin") {
    return `sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${file}`;
  }
  if (platform === "win32") return `certutil -addstore -user Root ${file}`;
  if (existsSync("/etc/pki/ca-trust/source/anchors")) {
    return `sudo cp ${file} /etc/pki/ca-trust/source/anchors/proj-development.pem && sudo update-ca-trust`;
  }
  return `sudo cp ${file} /usr/local/share/ca-certificates/proj-development.crt && sudo update-ca-certificates`;
}

function quote(path: string, platform: NodeJS.Platform): string {
  if (/^[\w./:\\-]+$/.test(path)) return path;
  return platform === "win32" ? `"${path}"` : `'${path.replaceAll("'", "'\\''")}'`;
}
