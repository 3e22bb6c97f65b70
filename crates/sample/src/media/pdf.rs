//! PDF 1.4: pages with a heading, a few lines of text and one picture each.

use std::io::Write;

use crate::media::jpeg;
use crate::names;
use crate::rng::Rng;

/// Bytes of a page without its picture, about.
const PAGE_BYTES: usize = 900;
/// Bytes that a page with its picture takes in a long document, about.
const FULL_PAGE_BYTES: usize = 48_000;
/// Catalog, page tree, font and information come before the pages; a page is three objects.
const FIRST_PAGE: usize = 5;

struct Body {
    out: Vec<u8>,
    /// Where each object begins, in order of its number.
    offsets: Vec<usize>,
}

impl Body {
    fn object(&mut self, content: &[u8]) {
        self.offsets.push(self.out.len());
        let number = self.offsets.len();
        self.out.extend(format!("{number} 0 obj\n").bytes());
        self.out.extend(content);
        self.out.extend(b"\nendobj\n");
    }

    fn stream(&mut self, dictionary: &str, data: &[u8]) {
        let length = data.len();
        let mut content = format!("<<{dictionary}/Length {length}>>\nstream\n").into_bytes();
        content.extend(data);
        content.extend(b"\nendstream");
        self.object(&content);
    }
}

/// A document of about `target` bytes; `title` is reduced to plain ASCII.
pub(crate) fn encode(rng: &mut Rng, target: usize, title: &str) -> Vec<u8> {
    let pages = target.div_ceil(FULL_PAGE_BYTES).clamp(1, 400);
    let picture = (target / pages).saturating_sub(PAGE_BYTES);
    let title = plain(title);
    // Four bytes above 127 tell transfer programs that the file is binary.
    let mut body = Body { out: b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec(), offsets: Vec::new() };
    body.object(b"<</Type/Catalog/Pages 2 0 R>>");
    let kids: Vec<_> = (0..pages).map(|page| format!("{} 0 R", FIRST_PAGE + 3 * page)).collect();
    body.object(format!("<</Type/Pages/Count {pages}/Kids[{}]>>", kids.join(" ")).as_bytes());
    body.object(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
    body.object(format!("<</Title({title})/Producer(larder-sample)>>").as_bytes());
    for page in 0..pages {
        add_page(&mut body, rng, picture, &format!("{title}, page {} of {pages}", page + 1));
    }
    finish(body, rng)
}

fn add_page(body: &mut Body, rng: &mut Rng, picture_bytes: usize, heading: &str) {
    let page = body.offsets.len() + 1;
    let (text, picture) = (page + 1, page + 2);
    let resources = format!("<</Font<</F1 3 0 R>>/XObject<</Im1 {picture} 0 R>>>>");
    body.object(
        format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {text} 0 R/Resources{resources}>>"
        )
        .as_bytes(),
    );
    body.stream("", page_content(rng, heading).as_bytes());
    let image = jpeg::encode(rng, picture_bytes);
    let (width, height) = (image.width, image.height);
    body.stream(
        &format!(
            "/Type/XObject/Subtype/Image/Width {width}/Height {height}\
             /ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"
        ),
        &image.bytes,
    );
}

fn page_content(rng: &mut Rng, heading: &str) -> String {
    let lines: Vec<_> = (0..6).map(|_| format!("({}) '", names::words(rng, 6, 9))).collect();
    format!(
        "BT /F1 14 Tf 56 780 Td ({heading}) Tj /F1 9 Tf 0 -8 Td 12 TL\n{}\nET\n\
         q 480 0 0 480 56 160 cm /Im1 Do Q",
        lines.join("\n")
    )
}

/// Cross-reference table (entries of exactly 20 bytes), trailer and end.
fn finish(body: Body, rng: &mut Rng) -> Vec<u8> {
    let Body { mut out, offsets } = body;
    let (xref, size) = (out.len(), offsets.len() + 1);
    let mut tail = format!("xref\n0 {size}\n0000000000 65535 f \n").into_bytes();
    for offset in offsets {
        writeln!(tail, "{offset:010} 00000 n ").expect("invariant: writing to memory");
    }
    let id = format!("{:016x}{:016x}", rng.next(), rng.next());
    writeln!(tail, "trailer\n<</Size {size}/Root 1 0 R/Info 4 0 R/ID[<{id}><{id}>]>>")
        .expect("invariant: writing to memory");
    writeln!(tail, "startxref\n{xref}\n%%EOF").expect("invariant: writing to memory");
    out.extend(tail);
    out
}

/// Letters that need no escape in a PDF string.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || " .,-_/".contains(*c)).collect()
}
