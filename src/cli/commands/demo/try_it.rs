//! What to try on a demo that was kept: every line can be pasted into a shell.

use crate::cli::commands::demo::ground::Ground;
use crate::cli::commands::demo::page::line;
use crate::cli::commands::demo::story::Story;
use crate::cli::shell::word;

/// Where everything lies, and the commands.
pub(super) fn lines(ground: &Ground, story: &Story) -> Vec<String> {
    let root = ground.root().to_string_lossy().into_owned();
    let mut lines = vec![
        String::new(),
        line(
            "kept",
            &format!(
                "{root}: partshub/ is the application's, repo/ larder's, tar/ the nightly archives"
            ),
        ),
    ];
    for (number, command) in commands(&root, story).iter().enumerate() {
        lines.push(line(if number == 0 { "try" } else { "" }, command));
    }
    lines
}

fn commands(root: &str, story: &Story) -> Vec<String> {
    let program = std::env::args_os().next().unwrap_or_else(|| "larder".into());
    let larder = word(&program.to_string_lossy()).into_owned();
    let at = |name: &str| word(&format!("{root}/{name}")).into_owned();
    let (day, lost) = (&story.loss.asked, word(&story.made.landmark));
    vec![
        format!("export LARDER_REPO={}", at("repo")),
        format!("{larder} snapshots"),
        format!("{larder} ls {day}"),
        format!("{larder} diff latest~1 latest"),
        format!("{larder} cat {day} {lost} | cmp - {}", at(&format!("aside/{}", story.loss.file))),
        format!("{larder} restore {day} --target {}", at("saturday")),
        format!("{larder} backup {}", at("partshub")),
        format!("{larder} check --read-data"),
    ]
}
