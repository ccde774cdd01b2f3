use anyhow::Result;
use kestrel_lab::artefacts;
use kestrel_lab::jsdk::Host;

use crate::verdicts::lab_with_role;

#[tokio::test(flavor = "multi_thread")]
async fn trial() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let keep = |name: &str, files: &kestrel_lab::jsdk::Artefacts| {
        let to = std::path::PathBuf::from("/work/tmp-D/out").join(name);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(&files.report, to.join("diag.json")).unwrap();
        std::fs::copy(&files.console, to.join("console.log")).unwrap();
        std::fs::copy(&files.rageshake, to.join("rageshake.log")).unwrap();
        if let Some(har) = &files.har { std::fs::copy(har, to.join("page.har")).unwrap(); }
    };
    let what = std::env::var("TRIAL").unwrap_or_default();
    let t = std::time::Instant::now();
    if what.contains("node") { keep("evicted-node", &artefacts::evicted(&lab, Host::Node).await?.1); println!("{:?}", t.elapsed()); }
    if what.contains("browser") { keep("evicted-browser", &artefacts::evicted(&lab, Host::Browser).await?.1); println!("{:?}", t.elapsed()); }
    if what.contains("dead") { keep("dead-browser", &artefacts::dead_identity(&lab, Host::Browser).await?.1); println!("{:?}", t.elapsed()); }
    if what.contains("slow") { keep("slow-browser", &artefacts::slow_restart(&lab, Host::Browser).await?.1); println!("{:?}", t.elapsed()); }
    if what.contains("native") {
        let copy = |name: &str, log: &std::path::Path| { std::fs::copy(log, format!("/work/tmp-D/out/{name}.log")).unwrap(); };
        copy("evicted", &artefacts::evicted_native(&lab).await?.1); println!("{:?}", t.elapsed());
        copy("rolled-back", &artefacts::rolled_back_native(&lab).await?.1); println!("{:?}", t.elapsed());
        copy("dead", &artefacts::dead_identity_native(&lab).await?.1); println!("{:?}", t.elapsed());
    }
    Ok(())
}
