// The error codes of HTTP/3 that we send (RFC 9114, section 8.1).

export const H3_NO_ERROR = 0x100;
export const H3_INTERNAL_ERROR = 0x102;
export const H3_EXCESSIVE_LOAD = 0x107;
export const H3_REQUEST_REJECTED = 0x10b;
export const H3_REQUEST_CANCELLED = 0x10c;
export const H3_MESSAGE_ERROR = 0x10e;
