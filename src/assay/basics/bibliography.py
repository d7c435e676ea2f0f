# SPDX-License-Identifier: Apache-2.0
"""The bibliography: the publication behind each method's ``source`` key."""

SOURCES: dict[str, str] = {
    "abadi2016": "Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang: Deep Learning with Differential "
    "Privacy. ACM CCS 2016.",
    "abnar2020": "Abnar and Zuidema: Quantifying Attention Flow in Transformers. ACL 2020.",
    "achtibat2024": "Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin and Samek: AttnLRP: Attention-Aware "
    "Layer-Wise Relevance Propagation for Transformers. ICML 2024.",
    "adebayo2018": "Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim: Sanity Checks for Saliency Maps. NeurIPS 2018.",
    "adebayo2018local": "Adebayo, Gilmer, Goodfellow and Kim: Local Explanation Methods for Deep Neural Networks "
    "Lack Sensitivity to Parameter Values. ICLR Workshop 2018.",
    "alvarezmelis2018": "Alvarez-Melis and Jaakkola: Towards Robust Interpretability with Self-Explaining Neural "
    "Networks. NeurIPS 2018.",
    "agarwal2022": "Agarwal, Johnson, Pawelczyk, Krishna, Saxena, Zitnik and Lakkaraju: Rethinking Stability for "
    "Attribution-based Explanations. ICLR Workshop PAIR2Struct 2022.",
    "ancona2018": "Ancona, Ceolini, Öztireli and Gross: Towards Better Understanding of Gradient-based Attribution "
    "Methods for Deep Neural Networks. ICLR 2018.",
    "andriushchenko2020": "Andriushchenko, Croce, Flammarion and Hein: Square Attack: A Query-Efficient Black-Box "
    "Adversarial Attack via Random Search. ECCV 2020.",
    "apley2020": "Apley and Zhu: Visualizing the Effects of Predictor Variables in Black Box Supervised Learning "
    "Models. JRSS B 82, 2020.",
    "anders2020": "Anders, Pasliev, Dombrowski, Müller and Kessel: Fairwashing Explanations with Off-Manifold "
    "Detergent. ICML 2020.",
    "anders2022": "Anders, Weber, Neumann, Samek, Müller and Lapuschkin: Finding and Removing Clever Hans: Using "
    "Explanation Methods to Debug and Improve Deep Models. Information Fusion 77, 2022.",
    "arras2022": "Arras, Osman and Samek: CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural "
    "Network Explanations. Information Fusion 81, 2022.",
    "assay2026": "Defined by this package; the method's page contains the full definition.",
    "arya2019": "Arya, Bellamy, Chen, Dhurandhar, Hind, Hoffman, Houde, Liao, Luss, Mojsilović et al.: One Explanation "
    "Does Not Fit All: A Toolkit and Taxonomy of AI Explainability Techniques. arXiv 1909.03012, 2019.",
    "bach2015": "Bach, Binder, Montavon, Klauschen, Müller and Samek: On Pixel-Wise Explanations for Non-Linear "
    "Classifier Decisions by Layer-Wise Relevance Propagation. PLOS ONE 10, 2015.",
    "ballet2019": "Ballet, Renard, Aigrain, Laugel, Frossard and Detyniecki: Imperceptible Adversarial Attacks on "
    "Tabular Data. NeurIPS workshop 2019.",
    "baniecki2022": "Baniecki, Kretowicz and Biecek: Fooling Partial Dependence via Data Poisoning. ECML PKDD 2022.",
    "banzhaf1965": "Banzhaf: Weighted Voting Doesn't Work: A Mathematical Analysis. Rutgers Law Review 19, 1965.",
    "bau2017": "Bau, Zhou, Khosla, Oliva and Torralba: Network Dissection: Quantifying Interpretability of Deep Visual "
    "Representations. CVPR 2017.",
    "bhatt2020": "Bhatt, Weller and Moura: Evaluating and Aggregating Feature-based Model Explanations. IJCAI 2020.",
    "boehle2021": "Böhle, Fritz and Schiele: Convolutional Dynamic Alignment Networks for Interpretable "
    "Classifications. CVPR 2021.",
    "breiman2001": "Breiman: Random Forests. Machine Learning 45, 2001.",
    "canny1986": "Canny: A Computational Approach to Edge Detection. IEEE TPAMI 8, 1986.",
    "carlini2017": "Carlini and Wagner: Towards Evaluating the Robustness of Neural Networks. IEEE S&P 2017.",
    "carlini2019": "Carlini, Liu, Erlingsson, Kos and Song: The Secret Sharer: Evaluating and Testing Unintended "
    "Memorization in Neural Networks. USENIX Security 2019.",
    "carlini2019evaluating": "Carlini, Athalye, Papernot, Brendel, Rauber, Tsipras, Goodfellow, Madry and Kurakin: On "
    "Evaluating Adversarial Robustness. arXiv 1902.06705, 2019.",
    "carlini2022": "Carlini, Chien, Nasr, Song, Terzis and Tramèr: Membership Inference Attacks From First Principles. "
    "IEEE S&P 2022.",
    "castro2009": "Castro, Gómez and Tejada: Polynomial Calculation of the Shapley Value Based on Sampling. "
    "Computers & Operations Research 36, 2009.",
    "chalasani2020": "Chalasani, Chen, Chowdhury, Wu and Jha: Concise Explanations of Neural Networks using "
    "Adversarial Training. ICML 2020.",
    "chattopadhyay2018": "Chattopadhay, Sarkar, Howlader and Balasubramanian: Grad-CAM++: Generalized Gradient-Based "
    "Visual Explanations for Deep Convolutional Networks. WACV 2018.",
    "chefer2021": "Chefer, Gur and Wolf: Generic Attention-Model Explainability for Interpreting Bi-Modal and "
    "Encoder-Decoder Transformers. ICCV 2021.",
    "chen2019": "Chen, Li, Tao, Barnett, Su and Rudin: This Looks Like That: Deep Learning for Interpretable Image "
    "Recognition. NeurIPS 2019.",
    "chen2020": "Chen, Jordan and Wainwright: HopSkipJumpAttack: A Query-Efficient Decision-Based Attack. IEEE S&P "
    "2020.",
    "chung2019": "Chung, Kraska, Polyzotis, Tae and Whang: Slice Finder: Automated Data Slicing for Model Validation. "
    "ICDE 2019.",
    "clark2024": "Clark, Wilming and Haufe: XAI-TRIS: Non-linear Image Benchmarks to Quantify False Positive Post-hoc "
    "Attribution of Feature Importance. Machine Learning 113, 2024.",
    "clopper1934": "Clopper and Pearson: The Use of Confidence or Fiducial Limits Illustrated in the Case of the "
    "Binomial. Biometrika 26, 1934.",
    "cohen2019": "Cohen, Rosenfeld and Kolter: Certified Adversarial Robustness via Randomized Smoothing. ICML 2019.",
    "covert2020": "Covert, Lundberg and Lee: Understanding Global Feature Contributions With Additive Importance "
    "Measures. NeurIPS 2020.",
    "covert2021": "Covert, Lundberg and Lee: Explaining by Removing: A Unified Framework for Model Explanation. JMLR "
    "22, 2021.",
    "craft2023": "Fel, Picard, Bethune, Boissin, Vigouroux, Colin, Cadène and Serre: CRAFT: Concept Recursive "
    "Activation FacTorization for Explainability. CVPR 2023.",
    "craven1996": "Craven and Shavlik: Extracting Tree-Structured Representations of Trained Networks. NIPS 1996.",
    "croce2020": "Croce and Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-"
    "free Attacks. ICML 2020.",
    "crown2018": "Zhang, Weng, Chen, Hsieh and Daniel: Efficient Neural Network Robustness Certification with General "
    "Activation Functions. NeurIPS 2018.",
    "dabkowski2017": "Dabkowski and Gal: Real Time Image Saliency for Black Box Classifiers. NIPS 2017.",
    "datta2016": "Datta, Sen and Zick: Algorithmic Transparency via Quantitative Input Influence. IEEE S&P 2016.",
    "datta2017": "Datta, Fredrikson, Ko, Mardziel and Sen: Use Privacy in Data-Driven Systems: Theory and Experiments "
    "with Machine Learnt Programs. ACM CCS 2017.",
    "deyoung2020": "DeYoung, Jain, Rajani, Lehman, Xiong, Socher and Wallace: ERASER: A Benchmark to Evaluate "
    "Rationalized NLP Models. ACL 2020.",
    "dhamdhere2019": "Dhamdhere, Sundararajan and Yan: How Important Is a Neuron? ICLR 2019.",
    "dimanov2020": "Dimanov, Bhatt, Jamnik and Weller: You Shouldn't Trust Me: Learning Models Which Conceal "
    "Unfairness From Multiple Explanation Methods. ECAI 2020.",
    "dombrowski2019": "Dombrowski, Alber, Anders, Ackermann, Müller and Kessel: Explanations can be manipulated and "
    "geometry is to blame. NeurIPS 2019.",
    "efron1987": "Efron: Better Bootstrap Confidence Intervals. JASA 82, 1987.",
    "erion2021": "Erion, Janizek, Sturmfels, Lundberg and Lee: Improving performance of deep learning models with "
    "axiomatic attribution priors and expected gradients. Nature Machine Intelligence 3, 2021.",
    "fawcett2006": "Fawcett: An Introduction to ROC Analysis. Pattern Recognition Letters 27, 2006.",
    "erhan2009": "Erhan, Bengio, Courville and Vincent: Visualizing Higher-Layer Features of a Deep Network. "
    "University of Montreal, Technical Report 1341, 2009.",
    "fel2023": "Fel, Boissin, Boutin, Picard, Novello, Colin, Linsley, Rousseau, Cadène, Goetschalckx, Gardes and "
    "Serre: Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization. NeurIPS 2023.",
    "feldman2015": "Feldman, Friedler, Moeller, Scheidegger and Venkatasubramanian: Certifying and Removing "
    "Disparate Impact. KDD 2015.",
    "fisher2019": "Fisher, Rudin and Dominici: All Models are Wrong, but Many are Useful: Learning a Variable's "
    "Importance by Studying an Entire Class of Prediction Models Simultaneously. JMLR 20, 2019.",
    "fong2019": "Fong, Patrick and Vedaldi: Understanding Deep Networks via Extremal Perturbations and Smooth Masks. "
    "ICCV 2019.",
    "fredrikson2015": "Fredrikson, Jha and Ristenpart: Model Inversion Attacks that Exploit Confidence "
    "Information and Basic Countermeasures. ACM CCS 2015.",
    "friedman1999": "Friedman and Moulin: Three Methods to Share Joint Costs or Surplus. Journal of Economic Theory "
    "87, 1999.",
    "friedman2001": "Friedman: Greedy Function Approximation: A Gradient Boosting Machine. Annals of Statistics 29, "
    "2001.",
    "geirhos2020": "Geirhos, Jacobsen, Michaelis, Zemel, Brendel, Bethge and Wichmann: Shortcut Learning in Deep "
    "Neural Networks. Nature Machine Intelligence 2, 2020.",
    "garg2019": "Garg, Perot, Limtiaco, Taly, Chi and Beutel: Counterfactual Fairness in Text Classification through "
    "Robustness. AIES 2019.",
    "ghorbani2019": "Ghorbani, Abid and Zou: Interpretation of Neural Networks Is Fragile. AAAI 2019.",
    "goldstein2015": "Goldstein, Kapelner, Bleich and Pitkin: Peeking Inside the Black Box: Visualizing Statistical "
    "Learning with Plots of Individual Conditional Expectation. JCGS 24, 2015.",
    "goodfellow2015": "Goodfellow, Shlens and Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015.",
    "gu2019": "Gu, Liu, Dolan-Gavitt and Garg: BadNets: Evaluating Backdooring Attacks on Deep Neural Networks. IEEE "
    "Access 7, 2019.",
    "hanley1982": "Hanley and McNeil: The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) "
    "Curve. Radiology 143, 1982.",
    "hansen2020": "Rieger and Hansen: A Simple Defense against Adversarial Attacks on Heatmap Explanations. "
    "ICML Workshop WHI 2020.",
    "hardt2016": "Hardt, Price and Srebro: Equality of Opportunity in Supervised Learning. NeurIPS 2016.",
    "hedstrom2023": "Hedström, Bommer, Wickstrøm, Samek, Lapuschkin and Höhne: The Meta-Evaluation Problem in "
    "Explainable AI. TMLR 2023.",
    "hedstrom2024": "Hedström, Weber, Lapuschkin and Höhne: A Fresh Look at Sanity Checks for Saliency Maps. xAI 2024.",
    "heo2019": "Heo, Joo and Moon: Fooling Neural Network Interpretations via Adversarial Model Manipulation. NeurIPS "
    "2019.",
    "hesse2023": "Hesse, Schaub-Meyer and Roth: FunnyBirds: A Synthetic Vision Dataset for a Part-Based Analysis of "
    "Explainable AI Methods. ICCV 2023.",
    "hill1973": "Hill: Diversity and Evenness: A Unifying Notation and Its Consequences. Ecology 54, 1973.",
    "ho2020": "Ho, Jain and Abbeel: Denoising Diffusion Probabilistic Models. NeurIPS 2020.",
    "hooker2019": "Hooker, Erhan, Kindermans and Kim: A Benchmark for Interpretability Methods in Deep Neural "
    "Networks. NeurIPS 2019.",
    "ignatiev2019": "Ignatiev, Narodytska and Marques-Silva: Abduction-Based Explanations for Machine Learning Models. "
    "AAAI 2019.",
    "ilyas2019": "Ilyas, Santurkar, Tsipras, Engstrom, Tran and Madry: Adversarial Examples Are Not Bugs, They Are "
    "Features. NeurIPS 2019.",
    "jagielski2020": "Jagielski, Ullman and Oprea: Auditing Differentially Private Machine Learning: How Private "
    "is Private SGD? NeurIPS 2020.",
    "jain2019": "Jain and Wallace: Attention is not Explanation. NAACL 2019.",
    "janizek2021": "Janizek, Sturmfels and Lee: Explaining Explanations: Axiomatic Feature Interactions for Deep "
    "Networks. JMLR 22, 2021.",
    "jeanneret2023": "Jeanneret, Simon and Jurie: Adversarial Counterfactual Visual Explanations. CVPR 2023.",
    "jiang2021": "Jiang, Zhang, Hou, Cheng and Wei: LayerCAM: Exploring Hierarchical Class Activation Maps for "
    "Localization. IEEE TIP 30, 2021.",
    "jin2020": "Jin, Jin, Zhou and Szolovits: Is BERT Really Robust? A Strong Baseline for Natural Language Attack on "
    "Text Classification and Entailment. AAAI 2020.",
    "jin2025": "Jin, Xue, You, Goel and Wong: Probabilistic Stability Guarantees for Feature Attributions. NeurIPS "
    "2025.",
    "kaufman2012": "Kaufman, Rosset, Perlich and Stitelman: Leakage in Data Mining: Formulation, Detection, and "
    "Avoidance. ACM TKDD 6, 2012.",
    "kim2018": "Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas and Sayres: Interpretability Beyond Feature Attribution: "
    "Quantitative Testing with Concept Activation Vectors (TCAV). ICML 2018.",
    "kindermans2019": "Kindermans, Hooker, Adebayo, Alber, Schütt, Dähne, Erhan and Kim: The (Un)reliability of "
    "Saliency Methods. Explainable AI, LNCS 11700, 2019.",
    "koh2017": "Koh and Liang: Understanding Black-box Predictions via Influence Functions. ICML 2017.",
    "kurakin2017": "Kurakin, Goodfellow and Bengio: Adversarial Examples in the Physical World. ICLR Workshop 2017.",
    "lapuschkin2019": "Lapuschkin, Wäldchen, Binder, Montavon, Samek and Müller: Unmasking Clever Hans Predictors and "
    "Assessing What Machines Really Learn. Nature Communications 10, 2019.",
    "kantchelian2016": "Kantchelian, Tygar and Joseph: Evasion and Hardening of Tree Ensemble Classifiers. ICML 2016.",
    "leino2018": "Leino, Sen, Datta, Fredrikson and Li: Influence-Directed Explanations for Deep Convolutional "
    "Networks. ITC 2018.",
    "leino2019": "Leino, Black, Fredrikson, Sen and Datta: Feature-Wise Bias Amplification. ICLR 2019.",
    "leino2020": "Leino and Fredrikson: Stolen Memories: Leveraging Model Memorization for Calibrated White-Box "
    "Membership Inference. USENIX Security 2020.",
    "leino2021": "Leino, Wang and Fredrikson: Globally-Robust Neural Networks. ICML 2021.",
    "levine2019": "Levine, Singla and Feizi: Certifiably Robust Interpretation in Deep Learning. arXiv 1905.12105, "
    "2019.",
    "li2023": "Li, Evtimov, Gordo, Hazirbas, Hassner, Ferrer, Xu and Ibrahim: A Whac-A-Mole Dilemma: Shortcuts Come in "
    "Multiples Where Mitigating One Amplifies Others. CVPR 2023.",
    "li2024": "Li: XAI: Cluster Variational Inference (draft). October 2024. Clusters by mean shift: Comaniciu and "
    "Meer: Mean Shift: A Robust Approach Toward Feature Space Analysis. IEEE TPAMI 24, 2002.",
    "lin2023": "Lin, Covert and Lee: On the Robustness of Removal-Based Feature Attributions. NeurIPS 2023.",
    "liu2021": "Liu, Khandagale, White and Neiswanger: Synthetic Benchmarks for Scientific Research in Explainable "
    "Machine Learning. NeurIPS 2021.",
    "lu2020": "Lu, Mardziel, Leino, Fredrikson and Datta: Influence Paths for Characterizing Subject-Verb Number "
    "Agreement in LSTM Language Models. ACL 2020.",
    "lopezpaz2017": "Lopez-Paz and Oquab: Revisiting Classifier Two-Sample Tests. ICLR 2017.",
    "lundberg2017": "Lundberg and Lee: A Unified Approach to Interpreting Model Predictions. NeurIPS 2017.",
    "lou2013": "Lou, Caruana, Gehrke and Hooker: Accurate Intelligible Models with Pairwise Interactions. KDD 2013.",
    "lugmayr2022": "Lugmayr, Danelljan, Romero, Yu, Timofte and Van Gool: RePaint: Inpainting Using Denoising "
    "Diffusion Probabilistic Models. CVPR 2022.",
    "lundberg2020": "Lundberg and others: From Local Explanations to Global Understanding with Explainable AI for "
    "Trees. Nature Machine Intelligence 2, 2020.",
    "madry2018": "Madry, Makelov, Schmidt, Tsipras and Vladu: Towards Deep Learning Models Resistant to Adversarial "
    "Attacks. ICLR 2018.",
    "martens2014": "Martens and Provost: Explaining Data-Driven Document Classifications. MIS Quarterly 38(1), 2014.",
    "massart1990": "Massart: The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality. Annals of Probability "
    "18, 1990.",
    "maurer2009": "Maurer and Pontil: Empirical Bernstein Bounds and Sample-Variance Penalization. COLT 2009.",
    "meyer2023": "Meyer, Ley, Srinivas and Lakkaraju: On Minimizing the Impact of Dataset Shifts on Actionable "
    "Explanations. UAI 2023.",
    "mitchell2022": "Mitchell, Cooper, Frank and Holmes: Sampling Permutations for Shapley Value Estimation. JMLR "
    "23, 2022.",
    "montavon2018": "Montavon, Samek and Müller: Methods for Interpreting and Understanding Deep Neural Networks. "
    "Digital Signal Processing 73, 2018.",
    "moosavidezfooli2016": "Moosavi-Dezfooli, Fawzi and Frossard: DeepFool: A Simple and Accurate Method to Fool Deep "
    "Neural Networks. CVPR 2016.",
    "moosavidezfooli2019": "Moosavi-Dezfooli, Fawzi, Uesato and Frossard: Robustness via Curvature Regularization, and "
    "Vice Versa. CVPR 2019.",
    "musco2025": "Musco and Witter: Provably Accurate Shapley Value Estimation via Leverage Score Sampling. ICLR 2025.",
    "newcombe1998": "Newcombe: Interval Estimation for the Difference between Independent Proportions. Statistics in "
    "Medicine 17, 1998.",
    "nguyen2020": "Nguyen and Rodríguez Martínez: On Quantitative Aspects of Model Interpretability. arXiv 2007.07584, "
    "2020.",
    "northcutt2021": "Northcutt, Jiang and Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. "
    "JAIR 70, 2021.",
    "olah2017": "Olah, Mordvintsev and Schubert: Feature Visualization. Distill, 2017.",
    "openxai2022": "Agarwal, Krishna, Saxena, Pawelczyk, Johnson, Puri, Zitnik and Lakkaraju: OpenXAI: Towards a "
    "Transparent Evaluation of Model Explanations. NeurIPS 2022.",
    "owen1977": "Owen: Values of Games with a Priori Unions. Mathematical Economics and Game Theory, 1977.",
    "papernot2016": "Papernot, McDaniel, Jha, Fredrikson, Celik and Swami: The Limitations of Deep Learning in "
    "Adversarial Settings. EuroS&P 2016.",
    "park2023": "Park, Georgiev, Ilyas, Leclerc and Madry: TRAK: Attributing Model Behavior at Scale. ICML 2023.",
    "petsiuk2018": "Petsiuk, Das and Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models. "
    "BMVC 2018.",
    "pintor2021": "Pintor, Roli, Brendel and Biggio: Fast Minimum-norm Adversarial Attacks through Adaptive Norm "
    "Constraints. NeurIPS 2021.",
    "rao2022": "Rao, Böhle and Schiele: Towards Better Understanding Attribution Methods. CVPR 2022.",
    "ribeiro2016": "Ribeiro, Singh and Guestrin: “Why Should I Trust You?” Explaining the Predictions of Any "
    "Classifier. KDD 2016.",
    "rieger2020": "Rieger and Hansen: IROF: a low resource evaluation metric for explanation methods. ICLR "
    "Workshop 2020.",
    "rivest1987": "Rivest: Learning Decision Lists. Machine Learning 2, 1987.",
    "ross2017": "Ross, Hughes and Doshi-Velez: Right for the Right Reasons: Training Differentiable Models by "
    "Constraining their Explanations. IJCAI 2017.",
    "rong2022": "Rong, Leemann, Borisov, Kasneci and Kasneci: A Consistent and Efficient Evaluation Strategy for "
    "Attribution Methods. ICML 2022.",
    "rudin2019": "Rudin: Stop Explaining Black Box Machine Learning Models for High Stakes Decisions and Use "
    "Interpretable Models Instead. Nature Machine Intelligence 1, 2019.",
    "salem2019": "Salem, Zhang, Humbert, Berrang, Fritz and Backes: ML-Leaks: Model and Data Independent Membership "
    "Inference Attacks and Defenses on Machine Learning Models. NDSS 2019.",
    "samek2017": "Samek, Binder, Montavon, Lapuschkin and Müller: Evaluating the Visualization of What a Deep Neural "
    "Network Has Learned. IEEE TNNLS 28, 2017.",
    "schulz2020": "Schulz, Sixt, Tombari and Landgraf: Restricting the Flow: Information Bottlenecks for "
    "Attribution. ICLR 2020.",
    "selvaraju2017": "Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra: Grad-CAM: Visual Explanations from Deep "
    "Networks via Gradient-based Localization. ICCV 2017.",
    "semenova2022": "Semenova, Rudin and Parr: On the Existence of Simpler Machine Learning Models. ACM FAccT 2022.",
    "serrano2019": "Serrano and Smith: Is Attention Interpretable? ACL 2019.",
    "shapley1953": "Shapley: A Value for n-Person Games. Contributions to the Theory of Games II, 1953.",
    "shokri2017": "Shokri, Stronati, Song and Shmatikov: Membership Inference Attacks Against Machine Learning "
    "Models. IEEE S&P 2017.",
    "shokri2021": "Shokri, Strobel and Zick: On the Privacy Risks of Model Explanations. AIES 2021.",
    "shrikumar2017": "Shrikumar, Greenside and Kundaje: Learning Important Features Through Propagating Activation "
    "Differences. ICML 2017.",
    "simonyan2014": "Simonyan, Vedaldi and Zisserman: Deep Inside Convolutional Networks: Visualising Image "
    "Classification Models and Saliency Maps. ICLR workshop 2014.",
    "sixt2020": "Sixt, Granz and Landgraf: When Explanations Lie: Why Many Modified BP Attributions Fail. ICML 2020.",
    "slack2020": "Slack, Hilgard, Jia, Singh and Lakkaraju: Fooling LIME and SHAP: Adversarial Attacks on Post hoc "
    "Explanation Methods. AIES 2020.",
    "smilkov2017": "Smilkov, Thorat, Kim, Viégas and Wattenberg: SmoothGrad: removing noise by adding noise. ICML "
    "workshop 2017.",
    "sobel1968": "Sobel and Feldman: A 3 × 3 Isotropic Gradient Operator for Image Processing. Stanford AI Project, "
    "1968.",
    "song2021": "Song, Meng and Ermon: Denoising Diffusion Implicit Models. ICLR 2021.",
    "song2023": "Song, Vahdat, Mardani and Kautz: Pseudoinverse-Guided Diffusion Models for Inverse Problems. ICLR "
    "2023.",
    "springenberg2015": "Springenberg, Dosovitskiy, Brox and Riedmiller: Striving for Simplicity: The All "
    "Convolutional Net. ICLR Workshop 2015.",
    "steinke2023": "Steinke, Nasr and Jagielski: Privacy Auditing with One (1) Training Run. NeurIPS 2023.",
    "sundararajan2017": "Sundararajan, Taly and Yan: Axiomatic Attribution for Deep Networks. ICML 2017.",
    "sundararajan2020": "Sundararajan and Najmi: The Many Shapley Values for Model Explanation. ICML 2020.",
    "theiner2022": "Theiner, Müller-Budack and Ewerth: Interpretable Semantic Photo Geolocation. WACV 2022.",
    "tsai2023": "Tsai, Yeh and Ravikumar: Faith-Shap: The Faithful Shapley Interaction Index. JMLR 24, 2023.",
    "ustun2019": "Ustun, Spangher and Liu: Actionable Recourse in Linear Classification. FAT* 2019.",
    "vaswani2017": "Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin: Attention Is All You "
    "Need. NeurIPS 2017.",
    "wachter2018": "Wachter, Mittelstadt and Russell: Counterfactual Explanations without Opening the Black Box: "
    "Automated Decisions and the GDPR. Harvard Journal of Law and Technology 31, 2018.",
    "wang2019": "Wang, Yao, Shan, Li, Viswanath, Zheng and Zhao: Neural Cleanse: Identifying and Mitigating Backdoor "
    "Attacks in Neural Networks. IEEE S&P 2019.",
    "wang2020": "Wang, Wang, Du, Yang, Zhang, Ding, Mardziel and Hu: Score-CAM: Score-Weighted Visual Explanations "
    "for Convolutional Neural Networks. CVPR Workshop 2020.",
    "wang2021": "Wang and Russakovsky: Directional Bias Amplification. ICML 2021.",
    "wang2023": "Wang and Jia: Data Banzhaf: A Robust Data Valuation Framework for Machine Learning. AISTATS 2023.",
    "waudbysmith2024": "Waudby-Smith and Ramdas: Estimating Means of Bounded Random Variables by Betting. "
    "JRSS B 86, 2024.",
    "wilming2023": "Wilming, Kieslich, Clark and Haufe: Theoretical Behavior of XAI Methods in the Presence of "
    "Suppressor Variables. ICML 2023.",
    "wilson1927": "Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 22, 1927.",
    "xu2020": "Xu, Venugopalan and Sundararajan: Attribution in Scale and Space. CVPR 2020.",
    "xue2023": "Xue, Alur and Wong: Stability Guarantees for Feature Attributions with Multiplicative Smoothing. "
    "NeurIPS 2023.",
    "yeh2019": "Yeh, Hsieh, Suggala, Inouye and Ravikumar: On the (In)fidelity and Sensitivity of Explanations. "
    "NeurIPS 2019.",
    "yeh2020": "Yeh, Kim, Arik, Li, Pfister and Ravikumar: On Completeness-aware Concept-Based Explanations in Deep "
    "Neural Networks. NeurIPS 2020.",
    "yeom2018": "Yeom, Giacomelli, Fredrikson and Jha: Privacy Risk in Machine Learning: Analyzing the Connection to "
    "Overfitting. IEEE CSF 2018.",
    "yeom2018proxies": "Yeom, Datta and Fredrikson: Hunting for Discriminatory Proxies in Linear Regression Models. "
    "NeurIPS 2018.",
    "zeiler2014": "Zeiler and Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014.",
    "zhang2018": "Zhang, Bargal, Lin, Brandt, Shen and Sclaroff: Top-Down Neural Attention by Excitation Backprop. "
    "IJCV 126, 2018.",
    "zhang2021": "Zhang, Khakzar, Li, Farshad, Kim and Navab: Fine-Grained Neural Network Explanation by Identifying "
    "Input Features with Predictive Information. NeurIPS 2021.",
    "zhao2017": "Zhao, Wang, Yatskar, Ordonez and Chang: Men Also Like Shopping: Reducing Gender Bias Amplification "
    "using Corpus-level Constraints. EMNLP 2017.",
    "zhou2016": "Zhou, Khosla, Lapedriza, Oliva and Torralba: Learning Deep Features for Discriminative "
    "Localization. CVPR 2016.",
}
"""Key (first author and year) → authors, title, place."""
