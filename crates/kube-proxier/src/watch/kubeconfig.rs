//! Kubeconfig files that client-go takes and kube does not.

use std::fs;
use std::path::Path;

use kube::config::{Kubeconfig, KubeconfigError};
use serde_json::Value;

/// How large a kubeconfig may be.
const LARGEST: u64 = 16 << 20;

/// Reads a kubeconfig.
///
/// To client-go a name that is missing is the empty one, and so is a current context that is: Talos, for one, writes a
/// single context without a name.
pub(super) fn read(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let read = Kubeconfig::read_from(path);
    let mut kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        // The error about the file as it is explains more than one about the file after this.
        Err(error) => named(path).ok_or(error)?,
    };
    if kubeconfig.current_context.is_none() && kubeconfig.contexts.iter().any(|c| c.name.is_empty())
    {
        kubeconfig.current_context = Some(String::new());
    }
    Ok(kubeconfig)
}

/// The user of the current context, if there is nobody of that name. kube would log in as nobody at all then; client-go
/// refuses the file.
pub(super) fn missing_user(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_deref()?;
    let named = kubeconfig
        .contexts
        .iter()
        .find(|context| context.name == current)?;
    let user = named.context.as_ref()?.user.as_deref()?;
    let known = kubeconfig.auth_infos.iter().any(|known| known.name == user);
    (!known && !user.is_empty()).then(|| user.to_owned())
}

/// The file with empty names in the place of missing ones.
fn named(path: &Path) -> Option<Kubeconfig> {
    if fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut file: Value = serde_saphyr::from_str(&text).ok()?;
    for kind in ["clusters", "users", "contexts"] {
        let entries = file.get_mut(kind).and_then(Value::as_array_mut);
        for entry in entries
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            entry.entry("name").or_insert_with(|| "".into());
        }
    }
    // kube does the same with the files that it reads itself.
    let folder = path.parent()?;
    for (kind, part, fields) in [
        ("clusters", "cluster", &["certificate-authority"][..]),
        (
            "users",
            "user",
            &["client-certificate", "client-key", "tokenFile"][..],
        ),
    ] {
        let entries = file.get_mut(kind).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            for field in fields {
                if let Some(Value::String(file)) =
                    entry.get_mut(part).and_then(|p| p.get_mut(*field))
                    && !file.is_empty()
                {
                    *file = folder.join(&*file).to_string_lossy().into_owned();
                }
            }
        }
    }
    serde_json::from_value(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    /// As Talos writes it.
    #[test]
    fn a_context_without_a_name_is_the_one_called_nothing() {
        let (folder, path) = written(
            "apiVersion: v1\nclusters:\n- name: local\n  cluster:\n    server: https://127.0.0.1:6443\n    \
             certificate-authority: pki/ca.crt\nusers:\n- name: service-account\n  user:\n    tokenFile: /run/token\n\
             contexts:\n- context:\n    cluster: local\n    user: service-account\n",
        );
        let read = read(&path).unwrap();
        assert_eq!(read.current_context.as_deref(), Some(""));
        assert_eq!(read.contexts[0].name, "");
        let cluster = read.clusters[0].cluster.clone().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
        let authority = folder.path().join("pki/ca.crt");
        assert_eq!(cluster.certificate_authority.as_deref(), authority.to_str());
        let user = read.auth_infos[0].auth_info.clone().unwrap();
        assert_eq!(user.token_file.as_deref(), Some("/run/token"));
    }

    #[test]
    fn what_is_broken_is_an_error_still() {
        for text in ["clusters: [", "clusters: 7", "contexts: [{context: 7}]"] {
            let (_folder, path) = written(text);
            assert!(read(&path).is_err(), "{text}");
        }
        // Several contexts of which none is current are a question that nobody answers.
        let (_folder, path) = written("contexts: [{name: a, context: {cluster: c}}]");
        assert_eq!(read(&path).unwrap().current_context, None);
    }
}
