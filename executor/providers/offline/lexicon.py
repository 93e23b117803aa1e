"""Words that belong together: how the offline model sees that `Fees rise by 7 percent` is for who reviews prices.

An entry is the words that call for it and the words that then count. Both are compared as stems, so that one form of a
word is enough.
"""

from collections.abc import Mapping
from functools import lru_cache

from executor.providers.offline.words import stem

# What a role, a field or an option is about, and which words of an input speak of it.
_RELATED: Mapping[str, str] = {
    "price prices commercial cost payment invoices charges billing refunds amount budget indexation": (
        "price paid pay pays fee cost charge charged invoice payment refund budget euro dollar grant expensive card"
        " percent amount"
    ),
    "liability indemnities warranties damage insurance": (
        "liable liability indemnify indemnifies indemnity damage claim limited unlimited insurance warranty penalty"
    ),
    "termination renewal renew": "term renew renewal terminate termination notice expire cancel",
    "personal privacy confidentiality sub-processors audit": (
        "data personal sub-processor delete deletion confidential privacy audit rights email"
    ),
    "service levels availability operation exclusivity": (
        "availability available outage maintenance downtime acceptance delay exclusive"
    ),
    "errors crashes bugs symptoms broken reproduce failed swallowed conditions fails": (
        "error fail failed crash broken bug exception except timeout stop wrong blank lost none retry sleep slow api"
        " browser firefox chrome safari"
    ),
    "injection secrets security misuse authorisation exploited": (
        "injection secret token password card log sql select query email everybody public exploit leak"
    ),
    "test tests tested behaviour": "test tested untested behaviour promise limit returns",
    "down outage unavailable": "down refuse refused unreachable offline outage",
    "degraded performance": "degraded slow latency timeout delayed",
    "happy positive praise love": (
        "great good love like excellent happy thank helpful easy fast faster perfect recommend pleased wonderful"
        " impressive save"
    ),
    "unhappy complaints anger negative angry annoyed": (
        "bad broken slow terrible angry disappointed hate unusable crash fail never lose lost forget trick hard higher"
        " expensive disappear"
    ),
    "request requests ask asks want wants wanted wish outcome": "please could wish want need let",
    "action actions commitments commitment owner owners": (
        "tomorrow today monday tuesday wednesday thursday friday until call order ask collect send start by ready"
    ),
    "decision decisions decided agreed": "decide decided decision agree agreed drop stay",
    "questions open unclear gaps": "open nobody unknown missing unclear yet question whether",
    "cause causes why trigger conditions": "because why cause full limit although nobody left hid open opens",
    "prevented prevention preventions detected": "alert monitor limit staging check fired test rollback script",
    "impact consequences noticed affected": "complaint customer user rate percent counted minutes hours error find",
    "objections argue sceptical against objection": (
        "but not only however although ended volunteered against cost backlog risk replace hours"
    ),
    "evidence finding findings figures cases obtained": (
        "percent compared fell rose factor measured satisfaction survey third"
    ),
    "background situation terms tried": "pilot ran build years old insulated offer similar scheme",
    "deadline date timing decides due": (
        "date deadline week month until end decision budget today tomorrow quarter year contract"
    ),
    "api developers webhooks fields integrations": "api webhook field endpoint get post removed replace",
    "need problem": "cost lose hand spreadsheet need cannot manual",
    "fit clinics sites businesses": "clinic site people employee nurse shift company",
    "sign accept approve deal agree": "accept deal done agree approve sign cheap insured unlikely reference",
    "negotiate change adapt risk one-sided": (
        "negotiate change clause risk one-sided unlimited limit without wording ask harmed"
    ),
    "walk refuse reject leave stop": "refuse reject leave walk never impossible",
}

# What is commonly meant by an option of that name.
_OPTIONS: Mapping[str, str] = {
    "positive": _RELATED["happy positive praise love"],
    "negative": _RELATED["unhappy complaints anger negative angry annoyed"],
    "critical": "outage down breach urgent immediately security data loss production emergency everyone",
    "high": "urgent immediately blocked outage important deadline angry severe failing escalate today",
    "urgent": "urgent immediately outage blocked emergency asap deadline today",
    "low": "minor cosmetic typo whenever suggestion nice question wondering",
    "billing": "invoice invoices charge charged refund payment price card subscription paid billed",
    "technical": "error crash bug install server slow broken api timeout fails stops export code",
    "account": "login password sign-in signin sign user role delete deletion identity email address locked name",
    "sales": "price quote demo upgrade plan enterprise discount purchase buy licence license",
    "bug": "error crash broken fails exception regression wrong unexpected",
    "security": "injection password token secret vulnerability breach leak authentication permission",
    "performance": "slow latency timeout memory query loop cache",
    "legal": "contract clause liability indemnity termination jurisdiction breach warranty",
}


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


_ENTRIES = tuple((_stems(called_by), _stems(members)) for called_by, members in _RELATED.items())
_OPTION_STEMS = {stem(name): _stems(members) for name, members in _OPTIONS.items()}


@lru_cache(maxsize=256)
def related(stems: frozenset[str]) -> tuple[frozenset[str], ...]:
    """The groups of words that these call for."""
    return tuple(members for called_by, members in _ENTRIES if called_by & stems)


def meant_by(stems: frozenset[str]) -> frozenset[str]:
    """What is commonly meant by an option with these words in its name."""
    return frozenset().union(*(_OPTION_STEMS.get(word, ()) for word in stems))
