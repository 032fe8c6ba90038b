/** The content security policy, once: the server sends it as a header, the build writes it into index.html for static hosts. */

const directives = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];

/** For <meta http-equiv>, where browsers ignore frame-ancestors and warn about it. */
export const metaPolicy = directives.join("; ");

export const headerPolicy = [...directives, "frame-ancestors 'none'"].join("; ");
