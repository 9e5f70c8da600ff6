"""The part of a session that changes its classes."""

from cofm_sklearn.annotation.class_changes import describe, descriptions_of
from cofm_sklearn.annotation.parts import SessionPart

__all__ = ["Changing"]


class Changing(SessionPart):
    """Add, rename, merge and describe classes while people label."""

    @property
    def descriptions(self):
        """What is known of each class in words: a dict of label to text.

        From the prior's class descriptions, and from what was said here.
        """
        self._check(None)
        told, changes = self._batches.told, self._answers.refresh().changes
        before = describe({}, changes[: told.n_known])
        known = before | descriptions_of(told.estimator_as_told)
        found = describe(known, changes[told.n_known :])
        return {name: text for name, text in found.items() if name in self.classes}

    def add_class(self, name, description=None, annotator=None):
        """Add a class. All questions go on; the next batch knows it.

        Parameters
        ----------
        name : label
            Of the type of the others.

        description : str or None, default=None
            What it means, for people and for a prior that reads descriptions; there,
            None stands for the name.

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        TypeError, ValueError
            If it is there already, or of another type.
        """
        self._change("add", [name, description], annotator)

    def rename_class(self, name, new_name, annotator=None):
        """Call a class by another name; all its labels, of before too, follow.

        Parameters
        ----------
        name, new_name : label
            The class, and what it is called from now on.

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or there is one of the new name.
        """
        self._change("rename", [name, new_name], annotator)

    def merge_classes(self, names, into, annotator=None):
        """Make several classes one; all their labels, of before too, follow.

        The file keeps what was said; only `undo` divides the labels again.

        Parameters
        ----------
        names : label or list of labels
            Classes that are no more.

        into : label
            The class that they become, one of the present ones.

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or fewer than two classes would be left.
        """
        names = [names] if isinstance(names, str | int) else list(names)
        self._change("merge", [into, *names], annotator)

    def describe_class(self, name, description, annotator=None):
        """Say what a class means, for people and for a prior that reads descriptions.

        Parameters
        ----------
        name : label

        description : str

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        TypeError, ValueError
            If there is no such class, or the description says nothing.
        """
        self._change("describe", [name, description], annotator)

    def _change(self, kind, content, annotator):
        self._answers.change(kind, content, self._check(annotator))
        self._background.start()
