"""Language tags of streams: ISO 639-1, 639-2 (both forms) and 639-3 codes of one language are one language."""

from __future__ import annotations

#: ISO 639-1 code, 639-2/T code and, where it differs, 639-2/B code.
_CODES = """
aa aar; ab abk; ae ave; af afr; ak aka; am amh; an arg; ar ara; as asm; av ava; ay aym; az aze; ba bak; be bel; bg bul;
bh bih; bi bis; bm bam; bn ben; bo bod tib; br bre; bs bos; ca cat; ce che; ch cha; co cos; cr cre; cs ces cze; cu chu;
cv chv; cy cym wel; da dan; de deu ger; dv div; dz dzo; ee ewe; el ell gre; en eng; eo epo; es spa; et est; eu eus baq;
fa fas per; ff ful; fi fin; fj fij; fo fao; fr fra fre; fy fry; ga gle; gd gla; gl glg; gn grn; gu guj; gv glv; ha hau;
he heb; hi hin; ho hmo; hr hrv; ht hat; hu hun; hy hye arm; hz her; ia ina; id ind; ie ile; ig ibo; ii iii; ik ipk;
io ido; is isl ice; it ita; iu iku; ja jpn; jv jav; ka kat geo; kg kon; ki kik; kj kua; kk kaz; kl kal; km khm; kn kan;
ko kor; kr kau; ks kas; ku kur; kv kom; kw cor; ky kir; la lat; lb ltz; lg lug; li lim; ln lin; lo lao; lt lit; lu lub;
lv lav; mg mlg; mh mah; mi mri mao; mk mkd mac; ml mal; mn mon; mr mar; ms msa may; mt mlt; my mya bur; na nau; nb nob;
nd nde; ne nep; ng ndo; nl nld dut; nn nno; no nor; nr nbl; nv nav; ny nya; oc oci; oj oji; om orm; or ori; os oss;
pa pan; pi pli; pl pol; ps pus; pt por; qu que; rm roh; rn run; ro ron rum; ru rus; rw kin; sa san; sc srd; sd snd;
se sme; sg sag; si sin; sk slk slo; sl slv; sm smo; sn sna; so som; sq sqi alb; sr srp; ss ssw; st sot; su sun; sv swe;
sw swa; ta tam; te tel; tg tgk; th tha; ti tir; tk tuk; tl tgl; tn tsn; to ton; tr tur; ts tso; tt tat; tw twi; ty tah;
ug uig; uk ukr; ur urd; uz uzb; ve ven; vi vie; vo vol; wa wln; wo wol; xh xho; yi yid; yo yor; za zha; zh zho chi;
zu zul
"""
_ISO3 = {code: codes[1] for line in _CODES.split(";") if (codes := line.split()) for code in codes}
_ISO1 = {codes[1]: codes[0] for line in _CODES.split(";") if (codes := line.split())}

#: Languages that are tagged by the name of a wider one as often as by their own.
_WIDER = {
    "arb": "ara",
    "cmn": "zho",
    "ekk": "est",
    "fil": "tgl",
    "lvs": "lav",
    "nno": "nor",
    "nob": "nor",
    "pes": "fas",
    "prs": "fas",
    "swh": "swa",
    "zsm": "msa",
}

#: Codes that name no language.
_NONE = frozenset({"", "und", "mul", "mis", "zxx", "qaa"})


def primary(tag: str | None) -> str:
    """The language of a tag as a three-letter code: "fr", "fre", "fra" and "fr-CA" are "fra"; "" for none."""
    code = (tag or "").strip().replace("_", "-").split("-")[0].lower()
    return "" if code in _NONE else _ISO3.get(code, code)


def wider(tag: str | None) -> str:
    """As `primary`, with close relatives under the wider name: "nb", "nn" and "no" are "nor"."""
    code = primary(tag)
    return _WIDER.get(code, code)


def shortest(tag: str | None) -> str:
    """The two-letter code of a tag's language where it has one, else that of three: "fra" is "fr"; "" for none."""
    code = primary(tag)
    return _ISO1.get(code, code)
