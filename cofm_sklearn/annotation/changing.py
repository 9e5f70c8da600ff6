"""The part of a session that changes its classes."""

import warnings

from cofm_sklearn.annotation.class_changes import (
    describe,
    descriptions_of,
    prior_of,
    takes_descriptions,
)
from cofm_sklearn.annotation.parts import SessionPart

__all__ = ["Changing"]


class Changing(SessionPart):
    """Add, rename, merge and describe classes during labelling."""

    @property
    def descriptions(self):
        """Descriptions of the classes: a dict of label to text.

        From the prior's class descriptions, and from `describe_class`.
        """
        self._check(None)
        told, changes = self._batches.told, self._answers.refresh().changes
        before = describe({}, changes[: told.n_known])
        known = before | descriptions_of(told.estimator_as_told)
        found = describe(known, changes[told.n_known :])
        return {name: text for name, text in found.items() if name in self.classes}

    def add_class(self, name, description=None, annotator=None):
        """Add a class. Open questions stay valid; the next batch uses the new class.

        Parameters
        ----------
        name : label
            Must have the type of the other classes.

        description : str or None, default=None
            Description for people, and for a `ZeroShotPrior`, where None uses the name.

        annotator : str or None, default=None
            Who makes the change; None uses the session's own.

        Raises
        ------
        TypeError, ValueError
            If the class exists already, or has another type.

        Warns
        -----
        UserWarning
            If there is a description, and another prior, which does not read it.
        """
        self._change("add", [name, description], annotator)

    def rename_class(self, name, new_name, annotator=None):
        """Rename a class, including all its earlier labels.

        Parameters
        ----------
        name, new_name : label
            The class, and its new name.

        annotator : str or None, default=None
            Who makes the change; None uses the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or the new name exists already.
        """
        self._change("rename", [name, new_name], annotator)

    def merge_classes(self, names, into, annotator=None):
        """Merge several classes into one, including all their earlier labels.

        The file keeps the original labels, so that `undo` can restore them.

        Parameters
        ----------
        names : label or list of labels
            Classes to remove.

        into : label
            The existing class that they become.

        annotator : str or None, default=None
            Who makes the change; None uses the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or fewer than two classes would be left.
        """
        names = [names] if isinstance(names, str | int) else list(names)
        self._change("merge", [into, *names], annotator)

    def describe_class(self, name, description, annotator=None):
        """Describe a class, for people and for a `ZeroShotPrior`.

        Parameters
        ----------
        name : label

        description : str

        annotator : str or None, default=None
            Who makes the change; None uses the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or the description is empty.

        Warns
        -----
        UserWarning
            If there is another prior, which does not read it.
        """
        self._change("describe", [name, description], annotator)

    def _change(self, kind, content, annotator):
        self._answers.change(kind, content, self._check(annotator))
        prior = prior_of(self._batches.told.estimator_as_told)
        is_read = prior is None or takes_descriptions(prior)
        if kind in ("add", "describe") and content[1] and not is_read:
            warnings.warn(
                f"The description of {content[0]!r} is for people only: the prior "
                f"{type(prior).__name__} does not take new descriptions while people "
                "label. Open the session again with a prior that has it.",
                stacklevel=3,
            )
        self._background.start()
