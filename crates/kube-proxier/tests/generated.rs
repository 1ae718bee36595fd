//! The man pages and shell completions in `deploy/`: that they are those of the flags as they are.
//!
//! `SNAPSHOTS=overwrite cargo test -p kube-proxier --test generated` writes them anew after a flag changed.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use kube_proxier::options::Flags;
use snapbox::{Assert, Data, IntoData as _};

/// A file in `deploy/` must hold this text.
fn check(text: Vec<u8>, file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(file);
    Assert::new().action_env("SNAPSHOTS").eq(
        String::from_utf8(text).unwrap().raw(),
        Data::read_from(&path, None).raw(),
    );
}

/// The page of a command: the name of its file, and its text.
fn page(command: Command) -> (String, Vec<u8>) {
    let man = Man::new(command).section("8");
    let mut text = Vec::new();
    man.render(&mut text).unwrap();
    (man.get_filename(), text)
}

/// Of the program, and of each of its commands.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut all = Flags::command();
    // Gives the commands their whole names and the flags that they share.
    all.build();
    let commands = all
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    commands
        .cloned()
        .map(page)
        .chain([page(all.clone())])
        .collect()
}

fn files(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(folder);
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn man_pages_are_those_of_the_flags() {
    let mut names = Vec::new();
    for (name, text) in pages() {
        check(text, &format!("man/{name}"));
        names.push(name);
    }
    names.sort();
    assert_eq!(files("man"), names);
}

#[test]
fn completions_are_those_of_the_flags() {
    let shells = [
        (Shell::Bash, "kube-proxier.bash"),
        (Shell::Fish, "kube-proxier.fish"),
        (Shell::Zsh, "_kube-proxier"),
    ];
    for (shell, name) in shells {
        let mut text = Vec::new();
        generate(shell, &mut Flags::command(), "kube-proxier", &mut text);
        check(text, &format!("completions/{name}"));
    }
    assert_eq!(files("completions").len(), shells.len());
}
