//! The options as people read them.

use core::fmt;

use super::SocketFileOptions;

impl fmt::Debug for SocketFileOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not derived: a `Duration` has panics in its way to be shown.
        let wait = (self.lock_wait.as_secs(), self.lock_wait.subsec_nanos());
        f.debug_struct("SocketFileOptions")
            .field("path", &format_args!("\"{}\"", self.path.escape_ascii()))
            .field("at", &self.at)
            .field("mode", &self.mode.map(Octal))
            .field("owner", &self.owner)
            .field("group", &self.group)
            .field("backlog", &self.backlog)
            .field("replace", &self.replace)
            .field("reclaim", &self.reclaim)
            .field("publish_ready", &self.publish_ready)
            .field("any_directory", &self.any_directory)
            .field("remove_on_drop", &self.remove_on_drop)
            .field("lock_wait", &format_args!("{}.{:09}s", wait.0, wait.1))
            .finish()
    }
}

/// A mode as people read it.
struct Octal(u32);

impl fmt::Debug for Octal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}
