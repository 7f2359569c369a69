//! What others do in the folder, in the instant between two system calls.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::world::{Held, Node, World, node};

const CONTENT: &str = "what somebody wrote";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// A regular file is renamed to the name, over what is there.
    FileOver,
    /// What is there is removed, and a regular file is made.
    FileAnew,
    /// A server's socket is renamed to the name.
    Server,
    /// A symbolic link that leads nowhere.
    Link,
    /// What is there is removed.
    Removed,
    /// The folder is renamed, and there is a new one.
    FolderMoved,
    /// The same, and in the new one a server has the name.
    FolderTaken,
}

pub const ACTS: [Act; 7] = [
    Act::FileOver,
    Act::FileAnew,
    Act::Server,
    Act::Link,
    Act::Removed,
    Act::FolderMoved,
    Act::FolderTaken,
];

impl Act {
    pub fn moves_the_folder(self) -> bool {
        matches!(self, Self::FolderMoved | Self::FolderTaken)
    }

    pub fn is_file(self) -> bool {
        matches!(self, Self::FileOver | Self::FileAnew)
    }
}

/// What came of an act.
pub struct Acted {
    pub act: Act,
    /// What had the name, and has none any more.
    pub displaced: Option<Node>,
    /// What was put there.
    pub foreign: Option<Held>,
    server: Option<UnixListener>,
}

impl Acted {
    pub fn new(act: Act, world: &World) -> Self {
        let (path, ready) = (world.path(), world.aside("ready"));
        let mut displaced = node(&path);
        let mut server = None;
        let mut serve = |at: &std::path::Path| {
            let listener = UnixListener::bind(at).unwrap();
            listener.set_nonblocking(true).unwrap();
            server = Some(listener);
        };
        match act {
            Act::FileOver => fs::write(&ready, CONTENT).unwrap(),
            Act::Server => serve(&ready),
            Act::Link => symlink("/nonexistent", &ready).unwrap(),
            Act::FileAnew => {
                let _ = fs::remove_file(&path);
                fs::write(&path, CONTENT).unwrap();
            }
            Act::Removed => drop(fs::remove_file(&path)),
            Act::FolderMoved | Act::FolderTaken => {
                fs::rename(world.folder(), world.moved()).unwrap();
                fs::create_dir(world.folder()).unwrap();
                displaced = None;
                if act == Act::FolderTaken {
                    serve(&path);
                }
            }
        }
        if matches!(act, Act::FileOver | Act::Server | Act::Link) {
            fs::rename(&ready, &path).unwrap();
        }
        let is_put = !matches!(act, Act::Removed | Act::FolderMoved);
        let foreign = is_put.then(|| Held::new(&path));
        Self { act, displaced, foreign, server }
    }

    /// What was put there still has its name, and is what it was.
    pub fn is_intact(&self, world: &World) -> bool {
        let Some(foreign) = &self.foreign else { return true };
        let path = world.path();
        foreign.is_there()
            && node(&path) == Some(foreign.node)
            && (!self.act.is_file() || fs::read(&path).unwrap() == CONTENT.as_bytes())
            && self.server.as_ref().is_none_or(|server| {
                let client = UnixStream::connect(&path);
                let is_reached = client.is_ok() && server.accept().is_ok();
                drop(client);
                is_reached
            })
    }
}
