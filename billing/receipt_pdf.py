"""A receipt or a credit note as a PDF of one page: the same words and sums as its page in the console."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone
from fpdf import FPDF, XPos, YPos
from fpdf.fonts import TTFFont

from billing.models import CreditNote, Receipt
from billing.receipts import money, tax_id_name

_FONTS = Path(__file__).parent / "fonts"
_FONT = "dejavu"
_MARGIN_MM = 20
_LINE_MM = 5.6
_AMOUNT_MM = 45
_GREY = 110
_INK = 28


@dataclass(frozen=True)
class _Words:
    """What differs between the two papers."""

    title: str
    dates: str
    total: str
    about: str


def receipt_pdf(receipt: Receipt) -> bytes:
    """Return the PDF, A4. A character that the fonts lack (they have Latin, Greek and Cyrillic) is shown as `?`."""
    dates = f"Issued {_day(receipt.issued_at)}, paid {_day(receipt.paid_at)}"
    words = _Words("Receipt", dates, "Total paid", f"Payment reference {receipt.purchase_id}")
    return bytes(_Page(receipt, words).output())


def credit_note_pdf(note: CreditNote) -> bytes:
    """As receipt_pdf."""
    dates = f"Issued {_day(note.issued_at)} for receipt {note.receipt.full_number} of {_day(note.receipt.issued_at)}"
    about = f"Payment reference {note.receipt.purchase_id}"
    if note.is_void:
        about = f"VOID: the money did not go back after all, and the receipt stands as if it had never left. {about}"
    return bytes(_Page(note, _Words("Credit note", dates, "Total given back", about)).output())


class _Page(FPDF):
    def __init__(self, paper: Receipt | CreditNote, words: _Words) -> None:
        super().__init__(format="A4")
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(True, _MARGIN_MM)
        self.add_font(_FONT, fname=_FONTS / "DejaVuSans.ttf")
        self.add_font(_FONT, style="B", fname=_FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(f"{words.title} {paper.full_number}")
        self.set_lang("en")
        # The same paper is the same file, byte for byte, whenever it is asked for.
        self.set_creation_date(paper.issued_at)
        self.paper, self.words = paper, words
        self.add_page()
        self._head()
        self._parties()
        self._lines()
        self._sums()
        self._foot()

    def _head(self) -> None:
        self._style(size=20, bold=True)
        self._row(self.words.title, height=2 * _LINE_MM)
        self._style(grey=True)
        self._row(f"No. {self.paper.full_number}")
        self._row(self.words.dates)
        self.ln(_LINE_MM)

    def _parties(self) -> None:
        top = self.get_y()
        ends = []
        for left, title, party in (
            (_MARGIN_MM, "Seller", self.paper.seller),
            (self.w / 2, "Buyer", self.paper.buyer),
        ):
            self.set_xy(left, top)
            self._style(size=9, grey=True)
            self._block(left, title)
            self._style(bold=True)
            self._block(left, party["name"])
            self._style()
            for line in _party_lines(party):
                self._block(left, line)
            ends.append(self.get_y())
        self.set_xy(_MARGIN_MM, max(ends) + 2 * _LINE_MM)

    def _lines(self) -> None:
        self._style(size=9, grey=True)
        self._pair("What", "Amount")
        self._rule()
        self._style()
        for line in self.paper.lines:
            code = f" (HSN/SAC {line['tax_code']})" if "tax_code" in line else ""
            self._pair(f"{line['description']}{code}", self._money(line["amount_minor"]))
        self._rule()

    def _sums(self) -> None:
        paper = self.paper
        if paper.discount_minor:
            self._pair("Discount", f"−{self._money(paper.discount_minor)}")
        for tax in paper.taxes:
            self._pair(tax["label"], self._money(tax["amount_minor"]))
        self._style(size=12, bold=True)
        self._pair(f"{self.words.total} ({paper.currency})", self._money(paper.total_minor))

    def _foot(self) -> None:
        self.ln(_LINE_MM)
        self._style(size=9, grey=True)
        for text in filter(None, (self.paper.note, self.words.about)):
            self._row(text)

    def _style(self, *, size: float = 10, bold: bool = False, grey: bool = False) -> None:
        self.set_font(_FONT, style="B" if bold else "", size=size)
        self.set_text_color(_GREY if grey else _INK)

    def _row(self, text: str, *, height: float = _LINE_MM) -> None:
        self.multi_cell(0, height, self._shown(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _block(self, left: float, text: str) -> None:
        self.set_x(left)
        width = self.w / 2 - _MARGIN_MM - 4
        self.multi_cell(width, _LINE_MM, self._shown(text), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _pair(self, left: str, right: str) -> None:
        """What on the left, wrapped; how much on the right, beside its first line."""
        top, height = self.get_y(), _LINE_MM * 1.3
        self.multi_cell(self.epw - _AMOUNT_MM, height, self._shown(left), align="L", new_x=XPos.RIGHT, new_y=YPos.NEXT)
        bottom = self.get_y()
        self.set_xy(self.w - _MARGIN_MM - _AMOUNT_MM, top)
        self.cell(_AMOUNT_MM, height, self._shown(right), align="R")
        self.set_xy(_MARGIN_MM, bottom)

    def _rule(self) -> None:
        self.set_draw_color(200)
        self.line(_MARGIN_MM, self.get_y() + 1, self.w - _MARGIN_MM, self.get_y() + 1)
        self.ln(3)

    def _money(self, amount_minor: int) -> str:
        return money(amount_minor, self.paper.currency)

    def _shown(self, text: str) -> str:
        font = self.fonts[_FONT]
        assert isinstance(font, TTFFont)
        return "".join(character if ord(character) in font.cmap else "?" for character in text)


def _party_lines(party: dict[str, Any]) -> list[str]:
    lines = list(party["address"])
    if party["tax_id"]:
        lines.append(f"{tax_id_name(party['country'])} {party['tax_id']}")
    if party["email"]:
        lines.append(party["email"])
    return lines


def _day(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local.day} {local:%B %Y}"
