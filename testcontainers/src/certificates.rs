//! Makes a certificate authority, certificates and stores with the tools that users have: openssl and keytool.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The password of every store.
pub const PASSWORD: &str = "changeit";

/// A certificate authority and what it has signed, in one folder.
pub struct Certificates {
    folder: PathBuf,
}

/// One signed certificate with its key, in the forms that brokers and clients take.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM of PKCS#8.
    pub key: PathBuf,
    /// Key and chain in one PEM file.
    pub bundle: PathBuf,
    /// Key and chain in a PKCS12 store.
    pub pkcs12: PathBuf,
}

impl Certificates {
    /// Makes an authority.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let this = Self {
            folder: folder.to_owned(),
        };
        this.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "3650",
            "-subj",
            "/CN=Test CA/O=Barnabas",
        ])?;
        this.run(Command::new("keytool").args([
            "-importcert",
            "-noprompt",
            "-alias",
            "ca",
            "-file",
            "ca.pem",
            "-keystore",
            "trust.jks",
            "-storetype",
            "JKS",
            "-storepass",
            PASSWORD,
        ]))?;
        Ok(this)
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A JKS trust store with the authority.
    pub fn trust_store(&self) -> PathBuf {
        self.folder.join("trust.jks")
    }

    /// Signs a certificate. `subject` is in openssl's form, `/CN=…/O=…`; `names` are subject alternative names such as
    /// `DNS:localhost,IP:127.0.0.1`, or empty.
    pub fn sign(&self, name: &str, subject: &str, names: &str) -> Result<Signed> {
        self.sign_for(name, subject, names, 3650)
    }

    /// Signs a certificate that is valid for `days` from now; a negative number makes an expired one.
    pub fn sign_for(&self, name: &str, subject: &str, names: &str, days: i32) -> Result<Signed> {
        let file = |ending: &str| format!("{name}.{ending}");
        self.openssl(&[
            "req",
            "-utf8",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &file("key"),
            "-out",
            &file("csr"),
            "-subj",
            subject,
        ])?;
        let mut extensions = "extendedKeyUsage=serverAuth,clientAuth\n".to_owned();
        if !names.is_empty() {
            extensions += &format!("subjectAltName={names}\n");
        }
        std::fs::write(self.folder.join(file("ext")), extensions)?;
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &file("csr"),
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            &days.to_string(),
            "-out",
            &file("pem"),
            "-extfile",
            &file("ext"),
        ])?;
        self.openssl(&[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            &file("key"),
            "-out",
            &file("pk8"),
        ])?;
        self.openssl(&[
            "pkcs12",
            "-export",
            "-in",
            &file("pem"),
            "-inkey",
            &file("key"),
            "-certfile",
            "ca.pem",
            "-name",
            name,
            "-out",
            &file("p12"),
            "-passout",
            &format!("pass:{PASSWORD}"),
        ])?;
        let read = |ending: &str| std::fs::read_to_string(self.folder.join(file(ending)));
        std::fs::write(self.folder.join(file("bundle")), read("pk8")? + &read("pem")?)?;
        let path = |ending: &str| self.folder.join(file(ending));
        Ok(Signed {
            certificate: path("pem"),
            key: path("pk8"),
            bundle: path("bundle"),
            pkcs12: path("p12"),
        })
    }

    /// The serial number of a certificate in a PEM file.
    pub fn serial(&self, certificate: &Path) -> Result<String> {
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(certificate)
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The serial number of the certificate that a port on 127.0.0.1 shows.
    pub fn served_serial(port: u16) -> Result<String> {
        let pipe = format!(
            "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial"
        );
        let output = Command::new("sh").args(["-c", &pipe]).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        self.run(Command::new("openssl").args(arguments))
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        let output = command.current_dir(&self.folder).output();
        let output = output.with_context(|| format!("{:?} is needed", command.get_program()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{command:?}: {said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }
}
