//! Tests of the layers that the module's page lists: nouns import nouns, machines do not import event handlers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const NOUNS: &[&str] = &[
    "admin_request",
    "context",
    "control_request",
    "controller_state",
    "error",
    "event",
    "event_queue",
    "partition_state",
    "replica_state",
    "status",
];
const MACHINES: &[&str] = &[
    "broker_request_batch",
    "channel_manager",
    "channel_metrics",
    "election",
    "event_manager",
    "handle",
    "metrics",
    "partition_state_machine",
    "reassignment",
    "rebalance_timer",
    "replica_election",
    "replica_state_machine",
    "state_machines",
    "topic_assignments",
    "topic_deletion",
    "zk_client",
];

/// The production code of a module of the controller, with that of its folder.
fn code(module: &Path) -> String {
    let mut code = String::new();
    let file = module.with_extension("rs");
    let in_folder = fs::read_dir(module).into_iter().flatten();
    let in_folder = in_folder.map(|entry| entry.expect("a readable folder").path());
    for path in std::iter::once(file).chain(in_folder.filter(|path| !path.ends_with("tests.rs"))) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        code += text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .expect("split yields one part");
    }
    code
}

#[test]
fn each_file_imports_its_own_layer_and_those_below() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller");
    let files = fs::read_dir(&folder).expect("the controller's folder");
    let files = files.map(|entry| entry.expect("a readable folder").path());
    let modules: BTreeSet<String> = files
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("mod.rs")
        })
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let page = fs::read_to_string(folder.join("mod.rs")).expect("the module's page");
    for module in &modules {
        assert!(
            page.contains(&format!("[`{module}`]")),
            "the module's page does not list {module}"
        );
    }
    for (layer, lower) in [(NOUNS, NOUNS), (MACHINES, &[NOUNS, MACHINES].concat())] {
        for module in layer {
            let code = code(&folder.join(module));
            let of_controller = ["super::", "controller::"].map(|path| code.split(path).skip(1));
            let imports = of_controller.into_iter().flatten().map(|rest| {
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .next()
                    .expect("split yields one part")
            });
            for import in imports.filter(|import| modules.contains(*import)) {
                assert!(lower.contains(&import), "{module} imports {import}");
            }
            assert!(
                !code.contains("for Controller {") && !code.contains("impl Controller {"),
                "{module} handles events"
            );
        }
    }
}
