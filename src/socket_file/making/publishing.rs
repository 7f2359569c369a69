//! How a file that is ready gets its name, from nobody or from another.

use rustix::fs::{AtFlags, RenameFlags, linkat};

use super::{ATTEMPTS, Making};
use crate::Errno;
use crate::error::{SocketFileError, Step};
use crate::socket_file::place::{Place, kernel, lacks, require_socket};
use crate::socket_file::removing::{stale, unlink_if};
use crate::sys::file::Node;

impl Making<'_> {
    /// Gives the file at the temporary name, which is this one, its own.
    pub(super) fn publish(&self, node: Node) -> Result<(), SocketFileError> {
        let mut last = SocketFileError::InUse;
        for _ in 0..ATTEMPTS {
            let done = match self.place.look(self.place.name())? {
                None => publish_new(self.place, node),
                Some(found) => {
                    require_socket(found)?;
                    self.publish_over(node)
                }
            };
            match done {
                // Somebody was faster, to put a file there or to take it away.
                Err(error @ SocketFileError::Kernel { errno: Errno::EXIST | Errno::NOENT, .. }) => {
                    last = error
                }
                done => return done,
            }
        }
        Err(last)
    }

    /// Gives the file a name that a socket has, if that may be taken from it.
    fn publish_over(&self, node: Node) -> Result<(), SocketFileError> {
        if self.options.replace {
            return exchange(self.place, node, None);
        }
        if !self.options.reclaim {
            return Err(SocketFileError::InUse);
        }
        // Not by `reclaim`, which would move it to the temporary name: that is taken.
        match stale(self.place)? {
            // `_file` keeps the inode from being used again until then.
            Some((_file, other)) => exchange(self.place, node, Some(other)),
            None => publish_new(self.place, node),
        }
    }
}

/// Gives the file a name that nothing has.
fn publish_new(place: &Place, node: Node) -> Result<(), SocketFileError> {
    match place.rename(place.temporary(), place.name(), RenameFlags::NOREPLACE) {
        Err(errno) if lacks(errno) => {}
        done => return done.map_err(kernel(Step::Publish)),
    }
    let (dir, from, to) = (place.dir(), place.temporary(), place.name());
    linkat(dir, from, dir, to, AtFlags::empty()).map_err(kernel(Step::Publish))?;
    let only_one = place.unlink(from);
    if only_one.is_err() {
        // The temporary name is taken back by who made it; this one only if nobody else has it by now.
        let _ = unlink_if(place, to, node);
    }
    only_one
}

/// Gives the file a name that a socket has, which the name leads to until then: any socket, or just that.
fn exchange(place: &Place, node: Node, only: Option<Node>) -> Result<(), SocketFileError> {
    let (from, to) = (place.temporary(), place.name());
    match place.rename(from, to, RenameFlags::EXCHANGE) {
        Err(errno) if lacks(errno) => {
            if let Some(other) = only {
                unlink_if(place, to, other)?;
                return publish_new(place, node);
            }
            return place.rename(from, to, RenameFlags::empty()).map_err(kernel(Step::Publish));
        }
        done => done.map_err(kernel(Step::Publish))?,
    }
    // The last look, at what nobody can put another file in the place of: it has another name now.
    let replaced = match place.look(from) {
        Ok(Some(found)) => match only {
            // There is another one by now, to be looked at.
            Some(other) if found != other => Err(kernel(Step::Publish)(Errno::EXIST)),
            _ => require_socket(found).and_then(|()| place.unlink(from)),
        },
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if replaced.is_err() {
        let _ = place.rename(from, to, RenameFlags::EXCHANGE);
    }
    replaced
}
