"""The toxicity net of ../shared: a trained recurrent net that reads both ways and ends in a maximum over time."""

import torch


class Toxic(torch.nn.Module):
    """Embedding, BiLSTM, maximum over time, two layers: one score a label."""

    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(20000, 50)
        self.lstm = torch.nn.LSTM(50, 50, batch_first=True, bidirectional=True)
        self.fc1, self.fc2 = torch.nn.Linear(100, 50), torch.nn.Linear(50, 6)

    def forward(self, ids):
        return self.fc2(torch.relu(self.fc1(self.lstm(self.emb(ids))[0].max(dim=1).values)))
