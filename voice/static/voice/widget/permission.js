// Why the microphone could not be had, from what getUserMedia threw. Pure.

/**
 * One of: microphone_blocked (the person or the site's settings said no), microphone_dismissed (the question was closed),
 * microphone_blocked_by_system, microphone_missing, microphone_busy, microphone_insecure, microphone_unsupported,
 * microphone_failed, microphone_not_delegated (we are in a frame, and the page around does not hand the microphone on).
 */
export function causeOf(error, { isSecure = true, isSupported = true, isDelegated = true } = {}) {
  if (!isSecure) {
    return "microphone_insecure";
  }
  if (!isSupported) {
    return "microphone_unsupported";
  }
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
    case "PermissionDeniedError":
      return isDelegated ? causeOfRefusal(error.message ?? "") : "microphone_not_delegated";
    case "NotFoundError":
    case "DevicesNotFoundError":
      return "microphone_missing";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "microphone_busy";
    case "OverconstrainedError":
      return "microphone_missing";
    default:
      return "microphone_failed";
  }
}

// Browsers tell these apart only in the message: Chromium says "Permission denied by system" and "Permission dismissed".
function causeOfRefusal(message) {
  if (/system/i.test(message)) {
    return "microphone_blocked_by_system";
  }
  return /dismiss/i.test(message) ? "microphone_dismissed" : "microphone_blocked";
}
