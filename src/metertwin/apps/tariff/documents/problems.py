"""The error of a document that is no tariff."""

from metertwin.core.documents.problems import DocumentError, DocumentKind


class TariffDocumentError(DocumentError):
    """A document that is no tariff; `problems` has all that was found."""

    code = "input.tariff_document"


TARIFF = DocumentKind("tariff", "tariffs", TariffDocumentError)
